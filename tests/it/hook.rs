//! `examples/hooks/pre-commit` in a repository of Git, with the program as it is built.

use std::path::Path;
use std::process::{Command, Output};

use mediaorigin_tests::folder::Folder;

use crate::program::built;

fn git(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("MEDIAORIGIN", built("mediaorigin-origin", "mediaorigin"))
        // Of a repository in which the tests themselves may be run by a hook.
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .unwrap()
}

fn commit(folder: &Path) -> Output {
    assert!(git(folder, &["add", "."]).status.success());
    git(folder, &["commit", "-m", "a change"])
}

#[test]
fn a_git_hook_refuses_what_an_api_server_would_refuse() {
    let folder = Folder::new("hook").unwrap();
    let at = folder.path();
    assert!(git(at, &["init", "--quiet"]).status.success());
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hooks/pre-commit");
    std::fs::create_dir_all(at.join(".git/hooks")).unwrap();
    std::fs::copy(hook, at.join(".git/hooks/pre-commit")).unwrap();
    std::fs::create_dir(at.join("origins")).unwrap();
    let with = |spec: &str| {
        format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: live}}\nspec: {spec}\n"
        )
    };
    folder.write("origins/live.yaml", &with("{memory: {limit: 2Gi}}")).unwrap();
    folder.write("pod.yaml", "kind: Pod\n").unwrap();
    let accepted = commit(at);
    assert!(accepted.status.success(), "{accepted:?}");
    folder.write("origins/live.yaml", &with("{memory: {limt: 2Gi}, replicas: 2}")).unwrap();
    let refused = commit(at);
    let text = [refused.stdout, refused.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(!refused.status.success());
    assert!(text.contains("origins/live.yaml: spec.memory.limt: unknown field"), "{text}");
    assert!(text.contains("spec.replicas: more than one pod needs spec.coordination"), "{text}");
    // Mended in the work tree alone is not mended.
    folder.write("origins/live.yaml", &with("{memory: {limit: 2Gi}}")).unwrap();
    assert!(!git(at, &["commit", "-m", "a change"]).status.success());
    folder.write("origins/live.yaml", &with("{memory: {limit: 3Gi}}")).unwrap();
    assert!(commit(at).status.success());
}
