//! Tables over `publishers.yaml`: what it means, and what is said about nonsense without a word of it.

use super::{Credential, parse};

#[test]
fn publishers_have_names_paths_and_several_credentials() {
    let text = "
publishers:
- name: encoder-a
  paths: ['live/a/**']
  credentials:
  - {username: a, password: ' old one '}
  - {username: a, password: new}
- name: medialive
  credentials: [{accessKeyId: AKID, secretAccessKey: s3cret/+=}]
readers:
- name: cdn
  credentials: [{header: X-Origin-Auth, value: opensesame}, {token: abc}]
";
    let file = parse(text).unwrap();
    let names: Vec<&str> = file.publishers.iter().map(|party| party.name.as_str()).collect();
    assert_eq!(names, ["encoder-a", "medialive"]);
    let paths = file.publishers[0].paths.as_ref().unwrap();
    assert!(paths.matches("live/a/x/1.ts") && !paths.matches("live/b/1.ts"));
    assert!(file.publishers[1].paths.is_none());
    assert_eq!(file.publishers[0].credentials.len(), 2);
    let header = Credential::Header { name: "x-origin-auth".to_owned(), value: "opensesame".to_owned() };
    assert_eq!(file.readers[0].credentials[0], header);
}

/// Every problem names its field, and none of them quotes what might be a secret.
#[test]
fn nonsense_is_named_but_not_quoted() {
    let cases = [
        ("hunter2", ": is not a mapping"),
        ("a: [hunter2", "is not YAML"),
        ("hunter2: 1", "has an unknown key; known are publishers, readers"),
        ("publishers: hunter2", "publishers: is not a list"),
        ("publishers: [hunter2]", "publishers[0]: is not a mapping"),
        (
            "publishers: [{name: A_hunter2, credentials: [{token: hunter2}]}]",
            "publishers[0].name: is not a name",
        ),
        ("publishers: [{name: a}]", "publishers[0].credentials: is not a list of 1 to 8"),
        ("publishers: [{name: a, credentials: []}]", "publishers[0].credentials: is not a list of 1 to 8"),
        ("publishers: [{name: a, credentials: [hunter2]}]", "publishers[0].credentials[0]: is not a mapping"),
        (
            "publishers: [{name: a, credentials: [{password: hunter2}]}]",
            "has other keys than username and password; or",
        ),
        ("publishers: [{name: a, credentials: [{token: hunter2, username: a}]}]", "has other keys"),
        ("publishers: [{name: a, credentials: [{token: 1234}]}]", "put it in quotation marks"),
        ("publishers: [{name: a, credentials: [{token: ''}]}]", "token has 0 bytes"),
        ("publishers: [{name: a, credentials: [{token: ' hunter2'}]}]", "token begins or ends with a space"),
        ("publishers: [{name: a, credentials: [{token: \"hunter2\\n\"}]}]", "token has a control character"),
        ("publishers: [{name: a, credentials: [{username: 'a:b', password: hunter2}]}]", "has a colon"),
        (
            "publishers: [{name: a, credentials: [{header: Authorization, value: hunter2}]}]",
            "is not a header's name",
        ),
        (
            "publishers: [{name: a, paths: [/live/**], credentials: [{token: hunter2}]}]",
            "publishers[0].paths[0]: \"/live/**\" has a leading slash",
        ),
        (
            "publishers: [{name: a, paths: live, credentials: [{token: hunter2}]}]",
            "publishers[0].paths: is not a list of globs",
        ),
        (
            "publishers: [{name: a, credentials: [{token: x}]}]\nreaders: [{name: a, credentials: [{token: y}]}]",
            "readers[0].name: is the name of an earlier one",
        ),
    ];
    for (text, expected) in cases {
        let problems: Vec<String> = parse(text).unwrap_err().iter().map(ToString::to_string).collect();
        let all = problems.join("\n");
        assert!(format!(": {all}").contains(expected), "{text}: {all}");
        assert!(!all.contains("hunter2"), "{text}: {all}");
    }
    let shown = format!("{:?}", parse("publishers: [{name: a, credentials: [{token: hunter2}]}]").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
