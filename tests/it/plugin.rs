//! `kubectl-mediaorigin` as it is installed: its help, its page, its errors, files without a cluster, and its command line in a shell.
//! What it prints of a cluster is in `tests/scenarios/plugin` and, on a real one, in `e2e::plugin`.

mod page;
mod publisher;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use mediaorigin_kubectl::advice;
use mediaorigin_operator::reasons::ReadyReason;
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::program::free;

use crate::program::built;

/// The plugin's program.
pub(crate) fn plugin() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("mediaorigin-kubectl", "kubectl-mediaorigin"))
}

fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    // No cluster of whoever runs the tests.
    command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST").env("HOME", "/nowhere");
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // A program that does not read has closed its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The same lines and the same exit status as the origin's own `validate`, for files that are good, bad, broken, and both in one.
#[test]
fn validate_answers_as_the_origins() {
    let folder = Folder::new("plugin-validate").unwrap();
    let origin = "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\n";
    let good = format!("{origin}metadata: {{name: good}}\n");
    let bad = format!(
        "{origin}metadata: {{name: bad}}\nspec: {{replicas: 2, memory: {{limit: 1Mi}}, nonsense: 1}}\n"
    );
    let files: Vec<String> = [
        ("good.yaml", good.clone()),
        ("bad.yaml", bad.clone()),
        ("both.yaml", format!("{good}---\n{bad}")),
        ("broken.yaml", "a: [".to_owned()),
        ("empty.yaml", String::new()),
        ("config.yaml", "apiVersion: mediaorigin.io/v1alpha1\nkind: OriginConfig\n".to_owned()),
    ]
    .iter()
    .map(|(name, text)| folder.write(name, text).unwrap())
    .chain(["fleet", "live", "platform", "tiers", "tls"].map(|name| format!("examples/{name}.yaml")))
    .collect();
    let origin = built("mediaorigin-origin", "mediaorigin");
    let validate = |program: &Path, files: &[&str]| {
        let arguments: Vec<&str> = ["validate", "-f"].iter().chain(files).copied().collect();
        let output = run(program, &arguments, "");
        (text(&output.stdout), output.status.code())
    };
    let mut codes = Vec::new();
    for file in &files {
        let (ours, theirs) = (validate(plugin(), &[file]), validate(&origin, &[file]));
        assert_eq!(ours, theirs, "{file}");
        codes.push(ours.1.unwrap());
    }
    assert_eq!(codes, [0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    let all: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(validate(plugin(), &all), validate(&origin, &all));
    let output = run(plugin(), &["validate", "-f", "-"], &bad);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("-: spec.nonsense: unknown field\n"), "{}", text(&output.stdout));
}

/// Whatever is in the way: exit status 2, nothing on standard output, one line that names it.
#[test]
fn an_error_is_one_clear_line() {
    let folder = Folder::new("plugin-errors").unwrap();
    let server = free().unwrap();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters: [{{name: a, cluster: {{server: 'http://{server}'}}}}]\n\
         users: [{{name: a, user: {{}}}}]\ncontexts: [{{name: here, context: {{cluster: a, user: a, namespace: media}}}}]\n"
    );
    let kubeconfig = folder.write("kubeconfig", &kubeconfig).unwrap();
    let broken = folder.write("broken", "clusters: [").unwrap();
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    for (arguments, words) in [
        (
            vec!["status", "--kubeconfig", &kubeconfig, "live"],
            vec!["media/live: no connection to the API server: ", "refused"],
        ),
        (vec!["status", "--kubeconfig", &kubeconfig, "-A"], vec!["cannot list MediaOrigins", "refused"]),
        (vec!["--kubeconfig", &kubeconfig, "explain", "live", "-n", "other"], vec!["cannot", "other/live"]),
        (
            vec!["streams", "live", "--kubeconfig", &kubeconfig, "--context", "there"],
            vec!["context", "there"],
        ),
        (vec!["publisher", "live", "--kubeconfig", &missing], vec![&missing]),
        (vec!["status", "--kubeconfig", &broken], vec!["kubeconfig"]),
        (vec!["status"], vec!["kubeconfig"]),
        (vec!["validate", "-f", &missing], vec![&missing]),
    ] {
        let output = run(plugin(), &arguments, "");
        let (said, error) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}{error}");
        assert_eq!(said, "", "{arguments:?}");
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{arguments:?}: {error}");
        assert!(words.iter().all(|word| error.contains(word)), "{arguments:?}: {error}");
    }
}

/// The advice in `status` is that of the page about conditions.
#[test]
fn the_advice_is_that_of_the_page() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conditions.md")).unwrap();
    let rows: Vec<Vec<String>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| `Ready`"))
        .take_while(|line| !line.starts_with("| `Progressing`"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect())
        .collect();
    for reason in ReadyReason::ALL {
        let row = rows.iter().find(|row| row[2] == reason.as_str()).unwrap();
        assert_eq!(row[4], advice::about(*reason).unwrap_or_default(), "{reason:?}");
    }
}
