//! The command line that `publisher` prints, in a real shell with a real encoder against an origin that wants credentials.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use mediaorigin_crds::load;
use mediaorigin_kubectl::publisher::{self, Secret};
use mediaorigin_operator::observed::Observed;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer::fetch;
use serde_json::json;

/// Shell: a `kubectl` that answers from a folder what the command line asks of a cluster, as the API server encodes it.
const KUBECTL: &str = r#"
kubectl() {
  [ "$1 $2 $3 $4 $5 $6" = "get secret -n media publisher -o" ] || { echo "kubectl $*" >&2; return 1; }
  local key=${7#jsonpath=\{.data.}; key=${key%\}}
  base64 -w0 "$SECRET/${key//\\/}"
}
"#;
/// Instead of `INPUT`: a small picture, for a few seconds.
const SOURCE: &str = "-f lavfi -i testsrc2=size=160x90:rate=10 -t 3";

/// The command line as it is printed, with the origin's address and a source in its places.
fn printed(values: &[(&str, &str)], origin: &Running) -> String {
    let document = json!({
        "metadata": { "name": "live", "namespace": "media", "uid": "1", "generation": 1 },
        "spec": { "access": { "write": { "secretRef": { "name": "publisher" } } } },
    });
    let observed = Observed::from_json(&document, BTreeMap::new(), &[], 0).unwrap();
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    let text = publisher::text(&observed, Some(&Secret::Known(values)), false);
    let command = text.split("\n\n").find(|part| part.starts_with("  ffmpeg ")).unwrap();
    assert!(command.contains("http://live.media.svc/") && command.contains("-i INPUT -c copy"), "{command}");
    let address = format!("http://{}/", origin.media_addr);
    command
        .replace("http://live.media.svc/", &address)
        .replace("-i INPUT -c copy", &format!("{SOURCE} -c:v libx264 -preset ultrafast -g 10"))
}

/// Passwords have what shells and URLs make something else of.
#[test]
fn the_printed_command_line_publishes() {
    for values in
        [vec![("username", "live"), ("password", "s3c$ret'\"@:/% \\ä")], vec![("token", "t0ken-._~+/=")]]
    {
        let (mounted, stored) =
            (Folder::new("plugin-mounted").unwrap(), Folder::new("plugin-stored").unwrap());
        for (key, value) in &values {
            mounted.write(key, value).unwrap();
            stored.write(key, value).unwrap();
        }
        let options = Options { publisher_dir: Some(mounted.path().to_owned()), ..Options::default() };
        let origin = start_blocking(load::built_in().unwrap(), options).unwrap();
        let script = format!("set -eu\n{KUBECTL}\n{}", printed(&values, &origin));
        let shell = |script: &str| {
            let mut bash = Command::new("bash");
            bash.args(["-c", script]).env("SECRET", stored.path()).stdin(Stdio::null()).output().unwrap()
        };
        let output = shell(&script);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !error.contains("kubectl"), "{script}\n{error}");
        let answer = fetch(origin.media_addr, "GET", "/live/stream/index.m3u8").unwrap();
        assert_eq!(answer.head.status, 200, "{script}\n{error}");
        // The control: with another secret nothing arrives, although ffmpeg does not say so.
        stored.write(values.last().unwrap().0, "another").unwrap();
        shell(&script.replace("/live/stream/", "/live/other/"));
        assert_eq!(fetch(origin.media_addr, "GET", "/live/other/index.m3u8").unwrap().head.status, 404);
    }
}
