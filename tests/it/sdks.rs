//! Unmodified AWS SDKs against an origin in this process, with and without signatures that are checked. What each does is in its matrix
//! under `tests/sdks`.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use mediaorigin_crds::load;
use mediaorigin_origin::{Options, start_blocking};
use mediaorigin_tests::folder::Folder;

const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The files of a Secret.
fn secret() -> Folder {
    let folder = Folder::new("sdks").unwrap();
    folder.write("accessKeyId", ACCESS_KEY_ID).unwrap();
    folder.write("secretAccessKey", SECRET_ACCESS_KEY).unwrap();
    folder
}

fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// One installation at a time.
static PREPARING: Mutex<()> = Mutex::new(());

/// The command line that runs an SDK's matrix; installs the SDK if need be.
fn prepare(sdk: &str) -> Vec<String> {
    let _alone = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdks/prepare");
    let output = Command::new(script).arg(sdk).output().unwrap();
    assert!(output.status.success(), "{sdk}: {}", text(&output));
    let line = String::from_utf8(output.stdout).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

/// Where boto3 is; installs it if need be.
pub(crate) fn python_packages() -> String {
    let command = prepare("python");
    let path = command.iter().find_map(|word| word.strip_prefix("PYTHONPATH="));
    path.unwrap().to_owned()
}

/// Runs the matrix of one SDK in both modes; so many checks at least must pass in each.
fn matrix(sdk: &str, at_least: usize) {
    let command = prepare(sdk);
    for signed in [false, true] {
        let secret = signed.then(secret);
        let publisher_dir = secret.as_ref().map(|secret| secret.path().to_owned());
        let resolved = load::built_in().unwrap();
        let origin = start_blocking(resolved, Options { publisher_dir, ..Options::default() }).unwrap();
        let output = Command::new(&command[0])
            .args(&command[1..])
            .env("ENDPOINT", format!("http://{}", origin.media_addr))
            .env("ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
            .env("SIGNED", if signed { "1" } else { "0" })
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = text(&output);
        assert!(output.status.success(), "{sdk}, signed: {signed}:\n{text}");
        let passed = text.lines().find_map(|line| line.strip_suffix(" checks passed")?.parse().ok());
        assert!(passed >= Some(at_least), "{sdk}, signed: {signed}: {passed:?} checks\n{text}");
    }
}

/// Proves MS-01, MS-02, MS-04, MS-05, MS-06, MS-07, MS-08, MS-09, MS-10, MS-11, MS-12, MS-13, MS-14, MS-15, MS-17, MS-18, MS-19, MS-23, MS-27, MS-28: 2,500 objects, odd paths, wrong keys.
#[test]
fn ms_boto3() {
    matrix("python", 33);
}

/// Proves MS-01, MS-13, MS-14, MS-17, MS-23, MS-24, MS-27: bodies with their digest and without, a clock that is wrong.
#[test]
fn ms_javascript() {
    matrix("javascript", 22);
}

/// Proves MS-01, MS-07, MS-10, MS-11: the tests that moto has for its mock, with which programs test themselves without AWS.
#[test]
fn ms_moto() {
    matrix("moto", 5);
}

/// Proves MS-01, MS-14, MS-23, MS-27.
#[test]
fn ms_go() {
    matrix("go", 60);
}

/// Proves MS-01, MS-14, MS-23, MS-27.
#[test]
fn ms_rust() {
    matrix("rust", 42);
}
