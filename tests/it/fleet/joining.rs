//! A pod that starts while NATS is away, or does not let it in, says so, answers nothing that it cannot know, and joins when it can.

use std::fs;
use std::path::Path;

use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::nats::{NatsCluster, SERVERS, Setup};
use mediaorigin_tests::peer::fetch;
use mediaorigin_tests::process::Process;
use mediaorigin_tests::program::ensure_installed;

use super::pods::{Pod, wait_until};

/// Debian's, which is older than what a fleet needs.
const OLD_SERVER: &str = "/usr/sbin/nats-server";

fn wait_reason(pod: &Pod, wanted: &str) {
    wait_until(wanted, || match pod.readiness() {
        Err(reason) if reason.contains(wanted) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// It lives, it is not ready, and it answers nothing.
fn assert_outside(pod: &Pod) {
    assert_eq!(fetch(pod.admin, "GET", "/livez").unwrap().head.status, 200);
    assert_eq!(fetch(pod.admin, "GET", "/readyz").unwrap().head.status, 503);
    for path in ["/live/a.m3u8", "/live/a.ts", "/?Path=live", "/"] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            if method == "PUT" && !path.starts_with("/live") {
                continue;
            }
            let body = (method == "PUT").then_some(&b"#EXTM3U\n"[..]);
            let head = pod.ask(method, path, &[], body).unwrap().head;
            assert_eq!((head.status, head.header("retry-after")), (503, Some("1")), "{method} {path}");
        }
    }
    let metrics = String::from_utf8(fetch(pod.admin, "GET", "/metrics").unwrap().body).unwrap();
    assert!(metrics.lines().any(|line| line == "mediaorigin_index_ready 0.0"), "{metrics}");
}

/// A rotated Secret: the files change under the process.
fn rotate(credentials: &Folder, password: &str) {
    let new = credentials.write("new", password).unwrap();
    fs::rename(new, credentials.path().join("password")).unwrap();
}

#[test]
fn a_pod_that_starts_before_nats_joins_when_nats_lets_it_in() {
    let user = Some(("origin".to_owned(), "right".to_owned()));
    let mut nats = NatsCluster::start_with(Setup { user, ..Setup::default() }).unwrap();
    for server in 0..SERVERS {
        nats.kill(server);
    }
    let credentials = Folder::new("credentials").unwrap();
    let pod = Pod::alone(&nats.urls(), credentials.path().to_owned());

    // Nobody is there, and then not even credentials.
    wait_reason(&pod, "cannot read");
    assert_outside(&pod);
    credentials.write("username", "origin").unwrap();
    rotate(&credentials, "wrong");
    wait_reason(&pod, "no NATS server of");
    assert_outside(&pod);

    // A server that is too old, in the place of one that will be there.
    ensure_installed("nats-server").unwrap();
    let folder = Folder::new("old").unwrap();
    let address = nats.addresses()[0];
    let arguments = ["-a", &address.ip().to_string(), "-p", &address.port().to_string()].map(str::to_owned);
    let old = Process::start("nats-server", Path::new(OLD_SERVER), &arguments, folder.path()).unwrap();
    wait_reason(&pod, "the index needs 2.14 or newer");
    assert_outside(&pod);
    drop(old);

    // The right ones, and the wrong password.
    for server in 0..SERVERS {
        nats.restart(server).unwrap();
    }
    wait_reason(&pod, "NATS refuses the user \"origin\"");
    assert_outside(&pod);
    rotate(&credentials, "right");
    wait_until("the pod to join", || pod.readiness());
    let put = pod.ask("PUT", "/live/a.m3u8", &[], Some(b"#EXTM3U\n")).unwrap();
    assert_eq!(put.head.status, 201);
    assert_eq!(pod.ask("GET", "/live/a.m3u8", &[], None).unwrap().body, b"#EXTM3U\n");
    assert_eq!(pod.ask("GET", "/live/b.m3u8", &[], None).unwrap().head.status, 404);
}
