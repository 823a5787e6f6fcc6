//! Rules about the source that a reviewer would otherwise have to remember.

mod conformance;
mod levels;
pub(crate) mod metrics;
mod operator;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::golden::root;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of everything that a package links.
fn tree(package: &str) -> BTreeSet<String> {
    let text = cargo(&["tree", "--locked", "--offline", "-p", package, "-e", "normal", "--prefix", "none"]);
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_origin_knows_nothing_of_kubernetes() {
    let tree = tree("mediaorigin-origin");
    for crate_name in ["kube", "kube-core", "k8s-openapi", "schemars", "mediaorigin-operator"] {
        assert!(!tree.contains(crate_name), "the origin depends on {crate_name}");
    }
    assert!(
        tree.contains("mediaorigin-crds") && tree.contains("actix-web"),
        "the tree was not read: {tree:?}"
    );
}

/// The index is what origins are made of, not the other way round; and it links one NATS client without its parts for other uses.
#[test]
fn the_index_knows_nothing_of_origins_and_kubernetes() {
    let tree = tree("mediaorigin-index");
    for crate_name in ["mediaorigin-origin", "mediaorigin-crds", "actix-web", "kube", "aws-lc-rs"] {
        assert!(!tree.contains(crate_name), "the index depends on {crate_name}");
    }
    assert!(tree.contains("async-nats"), "the tree was not read: {tree:?}");
}

#[test]
fn the_operator_and_the_plugin_know_nothing_of_the_data_plane() {
    for package in ["mediaorigin-operator", "mediaorigin-kubectl"] {
        let tree = tree(package);
        for crate_name in ["actix-web", "moka", "mediaorigin-origin"] {
            assert!(!tree.contains(crate_name), "{package} depends on {crate_name}");
        }
        assert!(tree.contains("kube"), "the tree was not read: {tree:?}");
    }
}

/// It decides: without a runtime, a clock, a cluster or anything random.
#[test]
fn the_scaler_is_pure() {
    let tree = tree("mediaorigin-scaler");
    for crate_name in
        ["tokio", "kube", "k8s-openapi", "mediaorigin-operator", "mediaorigin-origin", "fastrand"]
    {
        assert!(!tree.contains(crate_name), "the scaler depends on {crate_name}");
    }
    assert!(tree.contains("mediaorigin-crds"), "the tree was not read: {tree:?}");
    let mut sources = Vec::new();
    files(&root().join("scaler/src"), "rs", &mut sources);
    assert!(!sources.is_empty());
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in
            ["Timestamp::now", "Instant::now", "SystemTime", "std::fs", "std::net", "std::env", "std::thread"]
        {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn the_operator_knows_nothing_of_the_plugin() {
    assert!(!tree("mediaorigin-operator").contains("mediaorigin-kubectl"));
}

/// Licences that a dependency may be used under.
const LICENCES: [&str; 10] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "CDLA-Permissive-2.0",
];

fn packages() -> Vec<Value> {
    let text = cargo(&[
        "metadata",
        "--locked",
        "--offline",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let used: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let all = metadata["packages"].as_array().unwrap();
    all.iter().filter(|package| used.contains(package["id"].as_str().unwrap())).cloned().collect()
}

/// An SPDX expression of `OR`, `AND` and parentheses: one alternative must be allowed in all its parts.
fn allowed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    let parts =
        flat.split(" AND ").map(|part| part.split(" OR ").any(|name| LICENCES.contains(&name.trim())));
    // `(A OR B) AND C` and `A OR B AND C` come out the same; the first is how crates write it.
    parts.into_iter().all(|part| part)
}

#[test]
fn every_dependency_has_an_allowed_licence_and_comes_from_the_registry() {
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none");
        let source = package["source"].as_str();
        if !allowed(licence) || source.is_some_and(|source| !source.starts_with("registry+")) {
            wrong.push(format!("{name}: {licence}, {source:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Crates that are in the lock file twice, each with what would remove it.
const DUPLICATES: [(&str, &str); 16] = [
    ("base64", "k8s-openapi 0.29 and tower-http 0.7 are on 0.22, kube-client 5 and we on 0.23"),
    ("crypto-common", "as digest"),
    ("digest", "crc-fast 1 (of object_store) is on 0.10, md-5 (of the same) on 0.11"),
    (
        "bit-vec",
        "proptest 1 is on 0.8, yasna 0.6 on 0.9: an optional part of rcgen that is locked and not built",
    ),
    ("crypto-common", "as digest"),
    ("digest", "crc-fast 1 (of object_store) is on 0.10, md-5 (of the same) on 0.11"),
    ("getrandom", "ring 0.17 is on 0.2, ahash 0.8 on 0.3"),
    ("hashbrown", "kube-runtime 5 is on 0.16, dashmap 6 (of stateright, in tests only) on 0.14"),
    ("http", "actix-http 3 is on 0.2, everybody else on 1"),
    ("rand", "stateright 0.31 (in tests only) is on 0.9, async-nats 0.51 and proptest 1 on 0.10"),
    ("rand_core", "as rand"),
    ("syn", "procedural macros of derive_more, pin-project and tracing are on 2"),
    ("synstructure", "asn1-rs-derive 0.6 is on 0.13: as yasna"),
    ("thiserror", "prost-like helpers below kube are on 1"),
    ("thiserror-impl", "as thiserror"),
    ("tower-http", "reqwest 0.13 (of object_store) is on 0.6, kube-client 5 on 0.7"),
];

#[test]
fn no_dependency_comes_in_two_versions_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap().to_owned();
        versions.entry(name).or_default().insert(package["version"].as_str().unwrap().to_owned());
    }
    let twice: Vec<_> = versions.iter().filter(|(_, versions)| versions.len() > 1).collect();
    let unexplained: Vec<_> =
        twice.iter().filter(|(name, _)| !DUPLICATES.iter().any(|(known, _)| known == name)).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    let stale: Vec<_> =
        DUPLICATES.iter().filter(|(name, _)| !twice.iter().any(|(twice, _)| twice == name)).collect();
    assert!(stale.is_empty(), "no longer there twice: {stale:?}");
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// Lines of a source file without its tests.
const FILE_LINES_MAX: usize = 400;
/// The wire types are one table with the text of `kubectl explain`; cutting it in two would not make it easier to read.
const LONG_FILES: [&str; 1] = ["crds/src/v1alpha1.rs"];

#[test]
fn files_fit_a_sitting() {
    let mut sources = Vec::new();
    for folder in [
        "crds/src",
        "index/src",
        "kubectl/src",
        "operator/src",
        "origin/src",
        "scaler/src",
        "tests/src",
        "tests/it",
        "tests/bench",
    ] {
        files(&root().join(folder), "rs", &mut sources);
    }
    assert!(sources.len() > 20, "the sources were not found");
    let too_long = sources.iter().filter(|path| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        !is_test && !LONG_FILES.contains(&name) && lines > FILE_LINES_MAX
    });
    assert_eq!(too_long.collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}

#[test]
fn every_example_is_valid() {
    let mut examples = Vec::new();
    files(&root().join("examples"), "yaml", &mut examples);
    assert!(!examples.is_empty());
    for path in examples {
        let text = std::fs::read_to_string(&path).unwrap();
        let resolved = mediaorigin_crds::load::parse(&text);
        assert!(resolved.is_ok(), "{}: {:?}", path.display(), resolved.unwrap_err());
    }
}

#[test]
fn every_command_of_the_readme_exists() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = readme
        .lines()
        .filter_map(|line| line.trim().strip_prefix("make "))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    assert!(targets.contains("run") && targets.contains("test"), "{targets:?}");
    for target in targets {
        assert!(makefile.contains(&format!("\n{target}:")), "the Makefile has no target {target}");
    }
}

#[test]
fn ci_runs_the_test_command_of_the_readme() {
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.trim_end().ends_with("exec make test"), "{ci}");
}

#[test]
fn every_reason_of_a_condition_is_documented() {
    use mediaorigin_operator::reasons::{
        AcceptedReason, ConditionType, ProgressReason, ReadyReason, StalledReason,
    };
    let page = std::fs::read_to_string(root().join("docs/conditions.md")).unwrap();
    let words = ConditionType::ALL.iter().map(|word| word.as_str());
    let words = words.chain(AcceptedReason::ALL.iter().map(|word| word.as_str()));
    let words = words.chain(ReadyReason::ALL.iter().map(|word| word.as_str()));
    let words = words.chain(ProgressReason::ALL.iter().map(|word| word.as_str()));
    let words = words.chain(StalledReason::ALL.iter().map(|word| word.as_str()));
    let words = words.chain(mediaorigin_scaler::Reason::ALL.iter().map(|word| word.as_str()));
    let missing: Vec<&str> = words.filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
