//! `spec.podTemplate`, and the maps of labels and annotations.

use std::collections::{BTreeMap, BTreeSet};

use super::{check_count, is_object_name};
use crate::names;
use crate::problem::Problem;
use crate::v1alpha1::{PodTemplateSpec, TolerationOperatorSpec, TolerationSpec};

/// Entries of a map of labels or annotations at most.
pub const MAP_ENTRIES_MAX: usize = 64;
/// Characters of an annotation's value at most.
pub const ANNOTATION_LENGTH_MAX: usize = 4_096;
/// Secrets for the image's registry at most.
pub const PULL_SECRETS_MAX: usize = 8;
/// Tolerations at most.
pub const TOLERATIONS_MAX: usize = 32;
/// Environment variables at most, the characters of a name and of a value.
pub const ENV_MAX: (usize, usize, usize) = (64, 256, 4_096);
/// Characters of an image's name at most.
const IMAGE_LENGTH_MAX: usize = 512;

pub(super) fn check(template: &PodTemplateSpec, problems: &mut Vec<Problem>) {
    let at = "spec.podTemplate";
    check_labels(&format!("{at}.labels"), &template.labels, problems);
    check_own(&format!("{at}.labels"), &template.labels, problems);
    check_annotations(&format!("{at}.annotations"), &template.annotations, problems);
    check_own(&format!("{at}.annotations"), &template.annotations, problems);
    if let Some(image) = &template.image
        && (image.is_empty() || image.contains(char::is_whitespace) || length(image) > IMAGE_LENGTH_MAX)
    {
        let message =
            format!("\"{image}\" is not the name of an image: write e.g. registry.example/mediaorigin:1.2");
        problems.push(Problem::new(format!("{at}.image"), message));
    }
    check_pull_secrets(&format!("{at}.imagePullSecrets"), template, problems);
    check_labels(&format!("{at}.nodeSelector"), &template.node_selector, problems);
    check_count(&format!("{at}.tolerations"), template.tolerations.len(), TOLERATIONS_MAX, problems);
    for (index, toleration) in template.tolerations.iter().enumerate() {
        check_toleration(&format!("{at}.tolerations[{index}]"), toleration, problems);
    }
    if let Some(class) = template.priority_class_name.as_ref().filter(|class| !is_object_name(class)) {
        let message = format!("\"{class}\" is not the name of a PriorityClass");
        problems.push(Problem::new(format!("{at}.priorityClassName"), message));
    }
    check_environment(&format!("{at}.env"), template, problems);
}

fn check_pull_secrets(at: &str, template: &PodTemplateSpec, problems: &mut Vec<Problem>) {
    check_count(at, template.image_pull_secrets.len(), PULL_SECRETS_MAX, problems);
    let mut seen = BTreeSet::new();
    for (index, secret) in template.image_pull_secrets.iter().enumerate() {
        let name = &secret.name;
        if !is_object_name(name) {
            let message = format!("\"{name}\" is not the name of a Secret");
            problems.push(Problem::new(format!("{at}[{index}].name"), message));
        } else if !seen.insert(name) {
            problems.push(Problem::new(format!("{at}[{index}].name"), format!("\"{name}\" appears twice")));
        }
    }
}

fn check_environment(at: &str, template: &PodTemplateSpec, problems: &mut Vec<Problem>) {
    let (count_max, name_max, value_max) = ENV_MAX;
    check_count(at, template.env.len(), count_max, problems);
    let mut seen = BTreeSet::new();
    for (index, variable) in template.env.iter().enumerate() {
        let (name, field) = (&variable.name, format!("{at}[{index}].name"));
        if !is_env_name(name) || name.len() > name_max {
            let message = format!(
                "\"{name}\" is not the name of a variable: up to {name_max} letters, digits and _, e.g. RUST_LOG"
            );
            problems.push(Problem::new(field, message));
        } else if !seen.insert(name) {
            problems.push(Problem::new(field, format!("\"{name}\" is set twice")));
        }
        let characters = length(&variable.value);
        if characters > value_max {
            let message = format!("{characters} characters, {value_max} are possible");
            problems.push(Problem::new(format!("{at}[{index}].value"), message));
        }
    }
}

fn check_toleration(at: &str, toleration: &TolerationSpec, problems: &mut Vec<Problem>) {
    let TolerationSpec { key, operator, value, .. } = toleration;
    let mut wrong = |field: &str, message: &str| {
        problems.push(Problem::new(format!("{at}.{field}"), message));
    };
    match key {
        Some(key) if !is_qualified(key) => {
            wrong("key", "not the key of a taint: write e.g. dedicated or example.com/dedicated");
        }
        None if *operator == TolerationOperatorSpec::Equal => {
            wrong("key", "operator Equal needs a key: write one, or operator Exists for every taint");
        }
        _ => {}
    }
    match value {
        Some(value) if !is_label_value(value) => {
            wrong("value", "not the value of a taint: up to 63 letters, digits, -, _ and .");
        }
        Some(value) if *operator == TolerationOperatorSpec::Exists && !value.is_empty() => {
            wrong("value", "operator Exists compares no value: remove it, or write operator Equal");
        }
        _ => {}
    }
}

/// Keys that the operator needs for itself.
fn check_own(at: &str, map: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    let prefix = format!("{}/", names::GROUP);
    if let Some(key) = map.keys().find(|key| key.starts_with(&prefix)) {
        let message = format!(
            "\"{key}\" begins with {prefix}, which belongs to the operator: write one of your own domain"
        );
        problems.push(Problem::new(at, message));
    }
}

pub(super) fn check_labels(at: &str, map: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    check_keys(at, map, problems);
    for (key, value) in map.iter().filter(|(_, value)| !is_label_value(value)) {
        let message =
            format!("\"{value}\" is not the value of a label: up to 63 letters, digits, -, _ and .");
        problems.push(Problem::new(format!("{at}.{key}"), message));
    }
}

pub(super) fn check_annotations(at: &str, map: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    check_keys(at, map, problems);
    for (key, value) in map.iter().filter(|(_, value)| length(value) > ANNOTATION_LENGTH_MAX) {
        let message = format!("{} characters, {ANNOTATION_LENGTH_MAX} are possible", length(value));
        problems.push(Problem::new(format!("{at}.{key}"), message));
    }
}

fn check_keys(at: &str, map: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    check_count(at, map.len(), MAP_ENTRIES_MAX, problems);
    for key in map.keys().filter(|key| !is_qualified(key)) {
        let message = format!("\"{key}\" is not a key: write e.g. team or example.com/team");
        problems.push(Problem::new(at, message));
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn is_env_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(inner) && text.starts_with(|first: char| !first.is_ascii_digit())
}

/// The key of a label, annotation or taint: a name, before it a domain where somebody else could mean it.
fn is_qualified(text: &str) -> bool {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    domain.is_none_or(is_object_name) && !name.is_empty() && is_label_value(name)
}

fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && bytes.iter().all(|byte| inner(*byte)) && edge(bytes.first()) && edge(bytes.last())
}
