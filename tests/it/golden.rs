//! Generated files that are committed: compared, or rewritten with `UPDATE=1`.

use std::path::Path;

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Compares a file, named from the root, with what it should be; `UPDATE=1` rewrites it.
#[track_caller]
pub(crate) fn check(name: &str, expected: &str) {
    let path = root().join(name);
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{name}, line {}: make generate", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{name}: make generate");
}

/// A text of the checkout.
#[track_caller]
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
