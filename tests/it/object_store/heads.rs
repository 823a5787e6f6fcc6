//! What the servers of these tests answer to HEAD while an object is replaced, asked without our tier.

use std::process::Command;

use mediaorigin_tests::s3::{ACCESS_KEY, BUCKET, Program, S3Server};

use super::SECRET;

/// versitygw mixed two versions within 6 to 42 seconds on a busy machine.
const SECONDS_MAX: &str = "300";
const SECONDS: &str = "30";

#[test]
#[ignore = "takes up to minutes: `make soak`"]
fn a_plain_client_sees_of_two_versions_what_versitygw_mixes_and_minio_does_not() {
    let server = S3Server::start(SECRET).unwrap();
    let program = Program::chosen().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/s3/heads.py");
    let output = Command::new("python3")
        .args([script, &format!("http://{}", server.address), BUCKET, ACCESS_KEY, SECRET])
        .arg(if program == Program::Versitygw { SECONDS_MAX } else { SECONDS })
        .env("PYTHONPATH", crate::sdks::python_packages())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    println!("{program:?}: {text}");
    let (answers, rest) = text.trim().split_once(" answers, ").unwrap();
    let mixed: u64 = rest.split(' ').next().unwrap().parse().unwrap();
    if program == Program::Versitygw {
        assert!(mixed > 0, "it answers from one moment now: say so in docs/object-store.md");
    } else {
        assert!(answers.parse::<u64>().unwrap() > 1_000, "too few to tell: {text}");
        assert_eq!(mixed, 0);
    }
}
