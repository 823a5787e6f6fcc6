//! `mediaorigin sign-url` through the real program, and an origin that is asked with what it prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers too")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use mediaorigin_crds::load;
use mediaorigin_origin::clock::Clock;
use mediaorigin_origin::{Options, Running, start_blocking};

const KEY: &str = "a key of more than sixteen bytes";
const SPEC: &str = "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {name: a}\n\
                    spec: {access: {read: SignedUrls, write: {secretRef: {name: a}}}}\n";

/// The Secret as a folder; gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("mediaorigin-sign-{:x}", fastrand::u64(..)));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in [("token", "writer"), ("urlSigningKey", &format!("{KEY}\n"))] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Self(folder)
    }

    fn key_file(&self) -> String {
        self.0.join("urlSigningKey").to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sign_url(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_mediaorigin");
    Command::new(program).arg("sign-url").args(arguments).output().unwrap()
}

fn signed(arguments: &[&str]) -> String {
    let output = sign_url(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stderr, b"");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// An origin with two objects in one folder, at the time of this machine.
fn origin(folder: &Folder) -> (Running, Clock) {
    let clock = Clock::manual(SystemTime::now());
    let options =
        Options { publisher_dir: Some(folder.0.clone()), clock: clock.clone(), ..Options::default() };
    let running = start_blocking(load::parse(SPEC).unwrap(), options).unwrap();
    for name in ["index.m3u8", "1.ts"] {
        let head =
            format!("PUT /live/a/{name} HTTP/1.1\r\nAuthorization: Bearer writer\r\nContent-Length: 1");
        assert_eq!(status(running.media_addr, &head, "x"), 201);
    }
    (running, clock)
}

fn status(address: SocketAddr, head: &str, body: &str) -> u16 {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(socket, "{head}\r\nHost: a\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn get(running: &Running, url: &str) -> u16 {
    let target = url.strip_prefix("https://cdn.test").unwrap();
    status(running.media_addr, &format!("GET {target} HTTP/1.1"), "")
}

#[test]
fn what_it_prints_is_accepted_until_it_expires_and_not_if_changed() {
    let folder = Folder::new();
    let (running, clock) = origin(&folder);
    let key = folder.key_file();
    let url = "https://cdn.test/live/a/index.m3u8";
    assert_eq!(get(&running, url), 403);
    let query = signed(&["--key-file", &key, url]);
    let path =
        signed(&["--key-file", &key, "--expires", "2h", "--path-prefix", "live/a", "--in", "path", url]);
    assert_eq!(get(&running, &query), 200);
    assert_eq!(get(&running, &path), 200);
    // The one is good for itself, the other one for its folder.
    assert_eq!(get(&running, &query.replace("index.m3u8", "1.ts")), 403);
    assert_eq!(get(&running, &path.replace("index.m3u8", "1.ts")), 200);
    // Any character of the token that becomes another one.
    let token = query.find("token=").unwrap() + "token=".len();
    for at in [token, token + 10, query.len() - 5] {
        let mut changed = query.clone().into_bytes();
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        assert_eq!(get(&running, &String::from_utf8(changed).unwrap()), 403, "character {at}");
    }
    clock.advance(Duration::from_secs(3_601));
    assert_eq!(get(&running, &query), 403);
    assert_eq!(get(&running, &path), 200);
    clock.advance(Duration::from_hours(1));
    assert_eq!(get(&running, &path), 403);
}

#[test]
fn until_is_a_time_and_errors_name_the_argument() {
    let folder = Folder::new();
    let (running, clock) = origin(&folder);
    let key = folder.key_file();
    let url = "https://cdn.test/live/a/1.ts";
    let soon = SystemTime::now() + Duration::from_hours(24);
    let seconds = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
    let until = signed(&["--key-file", &key, "--until", &seconds, url]);
    assert_eq!(get(&running, &until), 200);
    clock.advance(Duration::from_secs(86_401));
    assert_eq!(get(&running, &until), 403);
    let short = folder.0.join("token");
    let none = folder.0.join("none");
    for (arguments, words) in [
        (vec![url], "--key-file"),
        (vec!["--key-file", short.to_str().unwrap(), url], "--key-file: "),
        (vec!["--key-file", none.to_str().unwrap(), url], "is not there"),
        (vec!["--key-file", &key, "--expires", "soon", url], "--expires"),
        (vec!["--key-file", &key, "--until", "2001-09-09T01:46:40Z", url], "--until"),
        (vec!["--key-file", &key, "--until", &seconds, "--expires", "1h", url], "--expires"),
        (vec!["--key-file", &key, "--in", "header", url], "--in"),
        (vec!["--key-file", &key, "--path-prefix", "vod", url], "--path-prefix"),
        (vec!["--key-file", &key, "cdn.test/live/a/1.ts"], "cdn.test"),
    ] {
        let output = sign_url(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(words), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty() && !errors.contains(KEY), "{errors}");
    }
}
