use std::collections::BTreeSet;

use mediaorigin_crds::publishers;

use super::*;

fn text(secret: &Secret, key: &str) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap()
}

fn issue(part: Part, before: Secret, issue: &Issue) -> Secret {
    issued(part, before, issue, &BTreeMap::new()).unwrap()
}

#[test]
fn every_value_is_new_long_enough_and_good_in_a_header_and_a_url() {
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        for part in [Part::AdminSecret, Part::PublisherSecret] {
            let secret = issue(part, Secret::default(), &Issue::Create);
            for field in fields(part) {
                let value = text(&secret, field.key);
                assert!(value.len() == field.length && value.len() >= 16, "{}", field.key);
                assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
                assert!(seen.insert(value), "{} twice", field.key);
            }
        }
    }
}

/// What was there before is what the origin's own parser reads from the file of further publishers.
#[test]
fn a_renewal_keeps_the_values_before_until_they_are_retired() {
    let first = issue(Part::PublisherSecret, Secret::default(), &Issue::Create);
    let second = issue(Part::PublisherSecret, first.clone(), &Issue::Renew);
    assert_ne!(text(&first, "password"), text(&second, "password"));
    assert_eq!(text(&second, "urlSigningKeyPrevious"), text(&first, "urlSigningKey"));
    let read = publishers::parse(&text(&second, PUBLISHERS_FILE)).unwrap();
    let [previous] = &*read.publishers else { panic!("{read:?}") };
    let old = |kind: &[&str]| {
        let values: Vec<String> = kind.iter().map(|key| text(&first, key)).collect();
        publishers::Credential::new(kind, &values).unwrap()
    };
    let expected =
        [old(&["username", "password"]), old(&["token"]), old(&["accessKeyId", "secretAccessKey"])];
    assert_eq!((previous.name.as_str(), &*previous.credentials), (PREVIOUS, &expected[..]));

    let third = issue(Part::PublisherSecret, second.clone(), &Issue::Renew);
    assert_eq!(publishers::parse(&text(&third, PUBLISHERS_FILE)).unwrap().publishers.len(), 1);
    let last = issue(Part::PublisherSecret, third.clone(), &Issue::Retire);
    let keys = |secret: &Secret| secret.data.as_ref().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&last), keys(&first));
    assert_eq!(text(&last, "token"), text(&third, "token"));
}

/// Publishers that somebody added to the file stay in it; a file that cannot be read stays as it is.
#[test]
fn what_others_wrote_stays() {
    let others = "publishers: [{name: guest, credentials: [{token: a-token-of-a-guest}]}]\n";
    let mut first = issue(Part::PublisherSecret, Secret::default(), &Issue::Create);
    let data = first.data.as_mut().unwrap();
    data.insert(PUBLISHERS_FILE.to_owned(), ByteString(others.as_bytes().to_vec()));
    data.insert("notes".to_owned(), ByteString(b"mine".to_vec()));
    let second = issue(Part::PublisherSecret, first.clone(), &Issue::Renew);
    let names = |secret: &Secret| -> Vec<String> {
        let read = publishers::parse(&text(secret, PUBLISHERS_FILE)).unwrap();
        read.publishers.into_iter().map(|party| party.name).collect()
    };
    assert_eq!(names(&second), ["guest", PREVIOUS]);
    let last = issue(Part::PublisherSecret, second, &Issue::Retire);
    assert_eq!((names(&last), text(&last, "notes")), (vec!["guest".to_owned()], "mine".to_owned()));

    let nonsense = ByteString(b"[not, a, file]".to_vec());
    first.data.as_mut().unwrap().insert(PUBLISHERS_FILE.to_owned(), nonsense.clone());
    let second = issue(Part::PublisherSecret, first, &Issue::Renew);
    assert_eq!(second.data.as_ref().unwrap()[PUBLISHERS_FILE], nonsense);
    assert_ne!(text(&second, "token"), "");
}

#[test]
fn a_value_that_is_missing_is_made_and_the_others_stay() {
    let mut first = issue(Part::PublisherSecret, Secret::default(), &Issue::Create);
    first.data.as_mut().unwrap().remove("token");
    let second = issue(Part::PublisherSecret, first.clone(), &Issue::Complete(vec!["token"]));
    assert_eq!(text(&second, "token").len(), 43);
    assert_eq!(text(&second, "password"), text(&first, "password"));
}

/// Nothing of a value is left, in no copy that a client keeps of it.
#[test]
fn what_is_looked_at_has_no_value_in_it() {
    let value = "c2VjcmV0LXZhbHVl";
    let mut secret = json!({
        "data": { "token": value },
        "metadata": {
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": format!("{{{value}}}"), "a": "b" },
            "managedFields": [{ "fieldsV1": {} }],
        },
    });
    redact(&mut secret);
    assert!(!secret.to_string().contains(value));
    assert_eq!(secret["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["token"]);
    assert_eq!(secret["metadata"], json!({ "annotations": { "a": "b" } }));
}

/// A copy has what clients need and nothing else of the other Secret; one that lacks it is no copy.
#[test]
fn a_copy_has_what_clients_need() {
    let source = Secret { data: Some(coordination().unwrap()), ..Secret::default() };
    let annotations = BTreeMap::from([(names::ANNOTATION_COPIED.to_owned(), "7".to_owned())]);
    let copy = copied(Part::NatsSecret, Secret::default(), (&source, &source), &annotations).unwrap();
    assert_eq!(copy.data.as_ref().unwrap().keys().collect::<Vec<_>>(), ["password", "username"]);
    assert_eq!(text(&copy, "password"), text(&source, "password"));
    assert_eq!(copy.metadata.annotations, Some(annotations.clone()));
    let of = |authority: &[u8]| {
        let data = [(names::CA_FILE.to_owned(), ByteString(authority.to_vec()))];
        Secret { data: Some(BTreeMap::from(data)), ..Secret::default() }
    };
    let trusting = copied(Part::NatsSecret, copy.clone(), (&source, &of(b"one")), &annotations).unwrap();
    assert_eq!((text(&trusting, "ca.crt").as_str(), trusting.data.as_ref().unwrap().len()), ("one", 3));
    let back = copied(Part::NatsSecret, trusting, (&source, &source), &annotations).unwrap();
    assert_eq!(back.data, copy.data, "authorities that are gone are gone");
    let mut bare = source;
    bare.data.as_mut().unwrap().remove("password");
    let error = copied(Part::NatsSecret, copy, (&bare, &bare), &annotations).unwrap_err();
    assert_eq!(error.to_string(), "it has no password");
}
