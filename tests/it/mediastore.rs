//! MediaStore's habits that need more than a script: a policy that changes under its objects, and the page about moving.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use mediaorigin_crds::load;
use mediaorigin_origin::clock::Clock;
use mediaorigin_origin::config::Way;
use mediaorigin_origin::{Options, start_blocking};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer::{Peer, fetch};

/// Proves CP-10: an object that was there before a rule is not expired by it, and one that came after is.
#[test]
fn cp_10_a_rule_is_for_objects_that_come_after_it() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let origin = start_blocking(load::built_in().unwrap(), options).unwrap();
    let put = |path: &str| {
        let answer = Peer::connect(origin.media_addr).unwrap().request("PUT", path, &[], Some(b"x")).unwrap();
        assert_eq!(answer.head.status, 201);
    };
    put("/live/before.ts");
    let rules = "{name: transient, match: {paths: ['live/*.ts']}, expireSeconds: 10}";
    let text = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: default}}\nspec: {{tierPolicies: [{rules}]}}"
    );
    origin.origin().config.update(&text, Way::File);
    put("/live/after.ts");
    clock.advance(Duration::from_secs(11));
    assert_eq!(fetch(origin.media_addr, "GET", "/live/before.ts").unwrap().head.status, 200);
    assert!(fetch(origin.media_addr, "GET", "/live/after.ts").unwrap().head.status >= 404);
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migrating-from-mediastore.md");
    std::fs::read_to_string(path).unwrap()
}

/// The blocks of a language, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if found == language {
            blocks.push(block.join("\n") + "\n");
        }
    }
    blocks
}

/// Everything on the page, as it stands there; only the port is another one.
#[test]
fn the_page_about_moving_works_as_written() {
    let page = page();
    let (shell, python, plain) = (blocks(&page, "sh"), blocks(&page, "python"), blocks(&page, ""));
    let [keys, environment] = shell.as_slice() else { panic!("{shell:?}") };
    let [serve, printed] = plain.as_slice() else { panic!("{plain:?}") };
    assert_eq!(serve, "mediaorigin serve --publisher-dir keys\n");
    let folder = Folder::new("moving").unwrap();
    let made = Command::new("sh").args(["-ec", keys]).current_dir(folder.path()).status().unwrap();
    assert!(made.success());
    let options = Options { publisher_dir: Some(folder.path().join("keys")), ..Options::default() };
    let origin = start_blocking(load::built_in().unwrap(), options).unwrap();
    let environment = environment.replace("127.0.0.1:8080", &origin.media_addr.to_string());
    folder.write("program.py", &python[0]).unwrap();
    let packages = crate::sdks::python_packages();
    let output = Command::new("sh")
        .args(["-ec", &format!("{environment}exec python3 program.py")])
        .env("PYTHONPATH", packages)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), *printed);
}
