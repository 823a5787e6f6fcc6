//! Who is let in: tables over credentials, paths and signed URLs; a Secret folder that changes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mediaorigin_crds::policy::ReadAccess;

use super::token::{Keys, Refusal, Token};
use super::{Access, Action, Admission, Change, Denial, token};
use crate::http::view::sample::Sample;

fn request(target: &str, headers: &[(&str, &str)]) -> Sample {
    Sample::new("PUT", target, headers)
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// A folder that is deleted with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let name = format!("mediaorigin-access-{}-{:x}", std::process::id(), fastrand::u64(..));
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.0.join(name)).unwrap();
    }

    fn access(&self) -> Access {
        Access::load(Some(self.0.clone()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn admit(access: &Access, request: &Sample, action: Action, read: ReadAccess) -> Result<Admission, Denial> {
    access.admit(request, action, read, NOW)
}

fn write(access: &Access, authorization: Option<&str>) -> Result<(), Denial> {
    let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
    admit(access, &request("/live/a.ts", &headers), Action::Write, ReadAccess::Public).map(|_| ())
}

/// Proves IN-03: nothing shown and something wrong shown are different answers.
#[test]
fn credentials_are_compared_whole() {
    let folder = Folder::new(&[("username", "user\n"), ("password", "pa:ss\r\n"), ("token", "t0ken")]);
    let access = folder.access();
    let good = basic("user:pa:ss");
    let cases = [
        (None, Err(Denial::Missing)),
        (Some(good.clone()), Ok(())),
        (Some(good.replace("Basic", "bAsIc")), Ok(())),
        (Some(basic("user:pa:s")), Err(Denial::Wrong)),
        (Some(basic("user:pa:sss")), Err(Denial::Wrong)),
        (Some(basic("")), Err(Denial::Wrong)),
        (Some("Basic ***".to_owned()), Err(Denial::Wrong)),
        (Some("Digest x".to_owned()), Err(Denial::Wrong)),
        (Some(String::new()), Err(Denial::Wrong)),
        (Some("Bearer t0ken".to_owned()), Ok(())),
        (Some("bearer  t0ken ".to_owned()), Ok(())),
        (Some("Bearer t0keN".to_owned()), Err(Denial::Wrong)),
        (Some("Bearer user:pa:ss".to_owned()), Err(Denial::Wrong)),
    ];
    for (header, expected) in cases {
        assert_eq!(write(&access, header.as_deref()), expected, "{header:?}");
    }
    assert_eq!(write(&Access::load(None), None), Ok(()));
    assert!(!format!("{access:?}").contains("pa:ss") && !format!("{access:?}").contains("t0ken"));
}

const PUBLISHERS: &str = "
publishers:
- name: a
  paths: ['live/a/**']
  credentials: [{username: a, password: old}, {username: a, password: new}]
- name: all
  credentials: [{token: everything}]
readers:
- name: cdn
  paths: ['live/**']
  credentials: [{header: X-Origin-Auth, value: opensesame}]
";

#[test]
fn publishers_are_limited_to_their_paths_and_readers_to_reading() {
    let folder = Folder::new(&[("publishers.yaml", PUBLISHERS)]);
    let access = folder.access();
    let show = |name: &'static str, value: String, action| {
        admit(&access, &request("/x", &[(name, &value)]), action, ReadAccess::Authenticated)
    };
    for password in ["old", "new"] {
        let admission = show("authorization", basic(&format!("a:{password}")), Action::Write).unwrap();
        assert_eq!(admission.name(), Some("a"));
        assert!(admission.covers("live/a/1.ts") && !admission.covers("live/b/1.ts"));
        assert!(admission.covers_folder("live/a/") && !admission.covers_folder("live/"));
    }
    let all = show("authorization", "Bearer everything".to_owned(), Action::List).unwrap();
    assert!(all.covers("x/1.ts") && all.covers_folder(""));
    let cdn = |action| show("x-origin-auth", "opensesame".to_owned(), action);
    assert!(cdn(Action::Read).unwrap().covers("live/b/1.ts"));
    assert_eq!(cdn(Action::Write).unwrap_err(), Denial::Forbidden);
    let wrong = show("x-origin-auth", "sesame".to_owned(), Action::Read).unwrap_err();
    assert_eq!(wrong, Denial::Wrong);
    // One of several that is good is enough: CDNs pass on what viewers send.
    let both = request("/x", &[("authorization", "Bearer no"), ("x-origin-auth", "opensesame")]);
    assert!(admit(&access, &both, Action::Read, ReadAccess::Authenticated).is_ok());
}

#[test]
fn who_may_read_and_list_is_for_the_configuration_to_say() {
    let folder = Folder::new(&[("token", "t")]);
    let (guarded, open) = (folder.access(), Access::load(None));
    let nothing = request("/live/a.ts", &[]);
    let cases = [
        (&guarded, Action::Read, ReadAccess::Public, None),
        (&guarded, Action::Read, ReadAccess::Authenticated, Some(Denial::Missing)),
        (&guarded, Action::Read, ReadAccess::SignedUrls, Some(Denial::Missing)),
        (&guarded, Action::List, ReadAccess::Public, Some(Denial::Missing)),
        (&open, Action::List, ReadAccess::Public, None),
        (&open, Action::Write, ReadAccess::Public, None),
        // The configuration came before the pod that has the Secret.
        (&open, Action::Read, ReadAccess::Authenticated, Some(Denial::Unavailable)),
    ];
    for (access, action, read, denial) in cases {
        assert_eq!(admit(access, &nothing, action, read).err(), denial, "{action:?} {read:?}");
    }
}

const KEY: &str = "0123456789abcdef";

fn sign(key: &str, glob: &str, seconds: u64) -> String {
    Token::new(glob, NOW + Duration::from_secs(seconds)).unwrap().sign(key.as_bytes())
}

#[test]
fn signed_urls_open_what_they_name_until_they_expire() {
    let folder = Folder::new(&[
        ("token", "t"),
        ("urlSigningKey", KEY),
        ("urlSigningKeyPrevious", "the one before it"),
    ]);
    let access = folder.access();
    let open = |target: String, read| admit(&access, &request(&target, &[]), Action::Read, read);
    for key in [KEY, "the one before it"] {
        let token = sign(key, "live/a/**", 10);
        for target in [format!("/-t-{token}/live/a/1.ts"), format!("/live/a/1.ts?x=1&token={token}")] {
            let admission = open(target.clone(), ReadAccess::SignedUrls).unwrap();
            assert!(admission.covers("live/a/1.ts") && !admission.covers("live/b/1.ts"), "{target}");
            assert_eq!(open(target, ReadAccess::Authenticated).unwrap_err(), Denial::Missing);
        }
    }
    let refused = |token: &str| open(format!("/x?token={token}"), ReadAccess::SignedUrls).unwrap_err();
    assert_eq!(refused(&sign(KEY, "**", 0)), Denial::Token(Refusal::Expired));
    assert_eq!(refused(&sign("another key than that", "**", 10)), Denial::Token(Refusal::Invalid));
    let good = sign(KEY, "live/a/**", 10);
    let (payload, signature) = good.split_once('.').unwrap();
    let other = sign(KEY, "live/b/**", 10);
    let (longer, _) = other.split_once('.').unwrap();
    for bad in [
        payload.to_owned(),
        format!("{longer}.{signature}"),
        format!(".{signature}"),
        format!("{payload}."),
        "a".repeat(9000),
    ] {
        assert_eq!(refused(&bad), Denial::Token(Refusal::Invalid), "{bad}");
    }
    // It reads; it does not write.
    let write = request(&format!("/live/a/1.ts?token={good}"), &[]);
    assert_eq!(admit(&access, &write, Action::Write, ReadAccess::SignedUrls).unwrap_err(), Denial::Missing);
}

#[test]
fn globs_of_tokens() {
    let covers = |glob: &str, path: &str| Token::new(glob, NOW).unwrap().covers(path);
    for (glob, path, expected) in [
        ("**", "a", true),
        ("**", "a/b/c", true),
        ("live/**", "live/a/b.ts", true),
        ("live/**", "lives/a", false),
        ("live/*", "live/a.ts", true),
        ("live/*", "live/a/b.ts", false),
        ("live/*/x?.ts", "live/a/x1.ts", true),
        ("live/*/x?.ts", "live/a/x12.ts", false),
        ("**/*.m3u8", "a/b/c.m3u8", true),
        ("**/*.m3u8", "c.m3u8", true),
        ("**/a/**/b", "a/a/x/y/b", true),
        ("live/a.ts", "live/a.ts", true),
        ("live/a.ts", "live/a.ts2", false),
        ("live/*a*b*c", "live/xaxbxbxc", true),
        ("live/é*", "live/éa", true),
    ] {
        assert_eq!(covers(glob, path), expected, "{glob} {path}");
    }
    // No pattern takes long.
    let began = std::time::Instant::now();
    assert!(!covers(&"**/a*a*".repeat(30), &"a/".repeat(400)));
    assert!(began.elapsed() < Duration::from_secs(1));
}

/// The format is a promise: CDNs and players' backends make tokens too.
#[test]
fn a_token_is_what_the_documentation_says() {
    let token = Token::new("live/a/**", NOW + Duration::from_secs(1_700_000_000)).unwrap();
    assert_eq!(
        token.sign(b"0123456789abcdef"),
        "MToxNzAwMDAwMDAwOmxpdmUvYS8qKg.bw9LqOLHhl9f_vWKGxw9jK5C5oeVjvprtGQdgWuyrL8"
    );
    assert_eq!(Keys::new(vec![KEY.into()]).open(&token.sign(KEY.as_bytes()), NOW), Ok(token));
    assert_eq!(token::split("/-t-abc/live/a.ts"), (Some("abc"), "/live/a.ts"));
    assert_eq!(token::split("/-t-abc"), (Some("abc"), ""));
    assert_eq!(token::split("/live/-t-abc/a"), (None, "/live/-t-abc/a"));
}

/// A Secret that makes no sense changes nothing but what is said about it.
#[test]
fn the_last_good_secret_stays_in_force() {
    let folder = Folder::new(&[("username", "user")]);
    let access = folder.access();
    assert_eq!(write(&access, None), Err(Denial::Unavailable));
    assert!(access.unready().unwrap().contains("username and password belong together"));
    folder.write("password", "first");
    assert_eq!(access.reload(), Change::Swapped);
    assert_eq!((access.unready(), access.problems()), (None, Vec::new()));
    assert_eq!(access.reload(), Change::None);
    assert_eq!(write(&access, Some(&basic("user:first"))), Ok(()));

    folder.write("password", "");
    assert!(matches!(access.reload(), Change::Refused(_)));
    assert_eq!(access.reload(), Change::None);
    assert_eq!(access.problems(), ["password is empty"]);
    assert_eq!(access.unready(), None);
    assert_eq!(write(&access, Some(&basic("user:first"))), Ok(()));

    folder.write("password", "second");
    assert_eq!(access.reload(), Change::Swapped);
    assert_eq!(write(&access, Some(&basic("user:first"))), Err(Denial::Wrong));
    assert_eq!(write(&access, Some(&basic("user:second"))), Ok(()));
}

#[test]
fn every_kind_of_nonsense_is_named() {
    for (name, text, expected) in [
        ("publishers.yaml", "hunter2", "publishers.yaml: is not a mapping"),
        ("publishers.yaml", "{}", "has no credentials"),
        ("token", "hunter2\nhunter2", "token has a control character"),
        ("token", &"hunter2".repeat(1000), "token has more than 4096 bytes"),
        ("urlSigningKey", "hunter2", "urlSigningKey has 7 bytes, at least 16 are needed"),
        ("accessKeyId", "hunter2", "accessKeyId and secretAccessKey belong together"),
        ("irrelevant", "hunter2", "has no credentials"),
    ] {
        let folder = Folder::new(&[(name, text)]);
        let problems = folder.access().problems().join("\n");
        assert!(problems.contains(expected), "{name}: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
    let folder = Folder::new(&[]);
    std::fs::write(folder.0.join("token"), [0xff]).unwrap();
    assert_eq!(folder.access().problems(), ["token is not UTF-8"]);
    assert!(!Access::load(Some(Path::new("/nowhere/at/all").to_owned())).problems().is_empty());
}

/// The kubelet swaps the link `..data`; what is read belongs to one version.
#[test]
fn a_mounted_secret_is_read_behind_its_link() {
    let folder = Folder::new(&[]);
    for (version, token) in [("..1", "one"), ("..2", "two")] {
        std::fs::create_dir(folder.0.join(version)).unwrap();
        folder.write(&format!("{version}/token"), token);
    }
    std::os::unix::fs::symlink("..1", folder.0.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/token", folder.0.join("token")).unwrap();
    let access = folder.access();
    assert_eq!(write(&access, Some("Bearer one")), Ok(()));
    folder.remove("..data");
    std::os::unix::fs::symlink("..2", folder.0.join("..data")).unwrap();
    assert_eq!(access.reload(), Change::Swapped);
    assert_eq!(write(&access, Some("Bearer two")), Ok(()));
}
