//! The one table (`bounds`, `cel`) by everyone who judges a spec: the API server, `mediaorigin validate`, and CEL in process.

use std::collections::BTreeSet;

use mediaorigin_crds::{crd, document, names, validate};
use mediaorigin_tests::apiserver::{Answer, ApiServer, MEDIA_ORIGINS, origin};
use serde_json::{Value, json};

use super::bounds::{self, Case};
use super::cel::{AUTOSCALING, Knows, RULES};
use super::edits::EDITS;
use super::shared;

/// Field and words of everything that is wrong.
type Problems = Vec<(String, String)>;

fn spec(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// What `mediaorigin validate` says about a file with this spec.
fn by_validate(name: &str, spec: &Value) -> Problems {
    // JSON is YAML.
    let (documents, mut problems) = document::parse(&origin(name, spec).to_string());
    for document in documents {
        problems.extend(
            validate::validate(None, &document.metadata.name, &document.spec).err().unwrap_or_default(),
        );
    }
    problems.into_iter().map(|problem| (problem.field, problem.message)).collect()
}

/// What the API server says.
fn by_server(server: &ApiServer, name: &str, spec: &Value) -> Problems {
    let answer = server.client().dry_run(MEDIA_ORIGINS, &origin(name, spec)).unwrap();
    problems(&answer)
}

fn problems(answer: &Answer) -> Problems {
    if answer.code == 201 || answer.code == 200 {
        return Vec::new();
    }
    let causes = answer.causes();
    if !causes.is_empty() {
        return causes;
    }
    // Unknown fields are told in a sentence: strict decoding error: unknown field "spec.a".
    assert_eq!(answer.code, 400, "{answer:?}");
    answer
        .message()
        .split('"')
        .skip(1)
        .step_by(2)
        .map(|field| (field.to_owned(), answer.message().to_owned()))
        .collect()
}

/// What the CEL rules say in this process, after the defaults.
fn by_cel(name: &str, spec: &Value, old: Option<&Value>) -> Problems {
    let definition = crd::definition().unwrap();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
    let object = |spec: &Value| {
        let spec = kube_cel::apply_defaults(&schema["properties"]["spec"], spec);
        json!({ "apiVersion": names::API_VERSION, "kind": names::KIND, "metadata": { "name": name }, "spec": spec })
    };
    let old = old.map(object);
    let errors = kube_cel::validate(schema, &object(spec), old.as_ref()).err();
    let errors = errors.map(kube_cel::ValidationErrors::into_vec).unwrap_or_default();
    errors.into_iter().map(|error| (error.field_path, error.message)).collect()
}

/// One names the field, the other perhaps what it is in.
fn names_field(problems: &Problems, field: &str) -> bool {
    problems.iter().any(|(named, _)| field.starts_with(named.as_str()) || named.starts_with(field))
}

/// Row 9: the bounds of the schema are those of `validate`; Row 6, 8, 11, 16: enums, lists, nulls and unknown fields as well.
#[test]
fn every_bound_of_the_schema_is_one_of_validate() {
    let server = shared();
    let cases = bounds::cases();
    assert!(cases.len() > 300, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for Case { what, spec, refused } in &cases {
        for (who, found) in
            [("API server", by_server(&server, "live", spec)), ("validate", by_validate("live", spec))]
        {
            let is_right = match refused {
                None => found.is_empty(),
                Some(field) => names_field(&found, field),
            };
            if !is_right {
                wrong.push(format!("{what}: {who} says {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Row 5, 9, 15: what a CEL rule refuses is refused with its message and the field, by the API server, in process and by `validate`.
#[test]
fn every_cel_rule_says_the_same_everywhere() {
    let server = shared();
    let mut wrong = Vec::new();
    for rule in RULES.iter().chain(AUTOSCALING) {
        for text in rule.accepts {
            let spec = spec(text);
            let judges =
                [by_server(&server, "live", &spec), by_cel("live", &spec, None), by_validate("live", &spec)];
            wrong.extend(
                judges.iter().filter(|found| !found.is_empty()).map(|found| format!("{text}: {found:?}")),
            );
        }
        for (field, text) in rule.refuses {
            let spec = spec(text);
            let says = |found: &Problems| found.iter().any(|(_, message)| message.ends_with(rule.message));
            let server = by_server(&server, "live", &spec);
            let cel = by_cel("live", &spec, None);
            let validate = by_validate("live", &spec);
            let is_right = match rule.knows {
                Knows::Both => {
                    says(&server)
                        && names_field(&server, field)
                        && says(&cel)
                        && validate.iter().any(|(named, _)| named == field)
                }
                Knows::Server(_) => says(&server) && says(&cel) && validate.is_empty(),
                Knows::Validate(_) => {
                    let says = |(named, message): &(String, String)| {
                        named == field && message.contains(rule.message)
                    };
                    server.is_empty() && cel.is_empty() && validate.iter().any(says)
                }
            };
            if !is_right {
                wrong.push(format!("{text}: API server {server:?}, CEL {cel:?}, validate {validate:?}"));
            }
            let reasons = [rule.knows];
            assert!(reasons.iter().all(|knows| !matches!(knows, Knows::Server("") | Knows::Validate(""))));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Row 13: what cannot be changed is refused when the edit is made.
#[test]
fn every_edit_that_is_impossible_is_refused() {
    let server = shared();
    let client = server.client();
    for (number, (message, before, after, refused)) in EDITS.iter().enumerate() {
        let name = format!("edit-{number}");
        let stored = client.create(MEDIA_ORIGINS, &origin(&name, &spec(before))).unwrap().success().unwrap();
        let mut edited = stored.clone();
        edited["spec"] = spec(after);
        let path = format!("{MEDIA_ORIGINS}/{name}");
        let found = problems(&client.replace(&path, &edited).unwrap());
        let cel = by_cel(&name, &spec(after), Some(&spec(before)));
        match refused {
            None => assert!(found.is_empty() && cel.is_empty(), "{after}: {found:?}, {cel:?}"),
            Some(field) => {
                let says = |found: &Problems| found.iter().any(|(_, text)| text.ends_with(message));
                assert!(
                    names_field(&found, field) && says(&found) && says(&cel),
                    "{after}: {found:?}, {cel:?}"
                );
            }
        }
        client.delete(&path).unwrap().success().unwrap();
    }
}

/// Row 15: names leave room for those made from them.
#[test]
fn names_have_52_characters_and_begin_with_a_letter() {
    let server = shared();
    let empty = json!({});
    for (name, accepted) in
        [("a".repeat(52), true), ("a".repeat(53), false), ("1a".to_owned(), false), ("a.b".to_owned(), false)]
    {
        for found in
            [by_server(&server, &name, &empty), by_validate(&name, &empty), by_cel(&name, &empty, None)]
        {
            assert_eq!(found.is_empty(), accepted, "{name}: {found:?}");
        }
    }
}

/// Every rule of the definition is in the table, with both kinds of cases.
#[test]
fn no_cel_rule_is_without_cases() {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for rule in RULES.iter().chain(AUTOSCALING) {
        assert!(!rule.accepts.is_empty() && !rule.refuses.is_empty(), "{}", rule.message);
        known.insert(rule.message);
    }
    for (message, ..) in EDITS {
        let of = |refused: bool| EDITS.iter().any(|edit| edit.0 == *message && edit.3.is_some() == refused);
        assert!(of(true) && of(false), "{message}");
        known.insert(message);
    }
    let mut found = BTreeSet::new();
    messages(&crd::definition().unwrap(), &mut found);
    // Those of the name have a test of their own.
    found.retain(|message| !message.starts_with("the name "));
    assert!(found.len() > 20);
    let unknown: Vec<_> = found.iter().filter(|message| !known.contains(message.as_str())).collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

fn messages(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
            let texts = rules.into_iter().flatten().map(|rule| rule["message"].as_str().unwrap().to_owned());
            found.extend(texts);
            fields.values().for_each(|field| messages(field, found));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| messages(entry, found)),
        _ => {}
    }
}
