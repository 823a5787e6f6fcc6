//! Where a live object differs from the fields that we apply. Fields of others are not looked at, so what a user adds to a child
//! survives; defaults that the API server fills in are not differences, nor are quantities written in another way.

use std::fmt;

use mediaorigin_crds::units::Bytes;
use serde_json::Value;

/// Longest value that is printed.
const VALUE_LENGTH_MAX: usize = 60;

/// One field that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `spec.template.spec.containers[origin].image`
    pub path: String,
    /// What it is and what it should be, where that is short enough to be read.
    pub change: Option<(String, String)>,
}

/// Every field of `desired` that `live` does not have so.
pub fn differences(desired: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", desired, live, &mut found);
    found
}

fn compare(path: &str, desired: &Value, live: &Value, found: &mut Vec<Difference>) {
    match (desired, live) {
        (Value::Object(fields), Value::Object(_)) => {
            for (key, value) in fields {
                compare(&join(path, key), value, &live[key], found);
            }
        }
        (Value::Array(items), Value::Array(others)) => compare_lists(path, items, others, found),
        (desired, live) if same(path, desired, live) => {}
        _ => found.push(Difference { path: path.to_owned(), change: change(desired, live) }),
    }
}

fn compare_lists(path: &str, desired: &[Value], live: &[Value], found: &mut Vec<Difference>) {
    let Some(key) = merge_key(desired) else {
        // A list without keys is ours as a whole.
        if desired.len() != live.len() {
            found.push(Difference { path: path.to_owned(), change: None });
            return;
        }
        for (index, (item, other)) in desired.iter().zip(live).enumerate() {
            compare(&format!("{path}[{index}]"), item, other, found);
        }
        return;
    };
    for item in desired {
        let name = item[key].as_str().unwrap_or_default();
        let path = format!("{path}[{name}]");
        match live.iter().find(|other| other[key] == item[key]) {
            Some(other) => compare(&path, item, other, found),
            None => found.push(Difference { path, change: None }),
        }
    }
}

/// The field that tells the items of a list apart, where Kubernetes merges them by one.
fn merge_key(items: &[Value]) -> Option<&'static str> {
    ["mountPath", "uid", "topologyKey", "name"]
        .into_iter()
        .find(|key| !items.is_empty() && items.iter().all(|item| item[key].is_string()))
}

fn same(path: &str, desired: &Value, live: &Value) -> bool {
    let nothing = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    desired == live || (live.is_null() && nothing(desired)) || same_quantity(path, desired, live)
}

fn same_quantity(path: &str, desired: &Value, live: &Value) -> bool {
    let (Some(desired), Some(live)) = (desired.as_str(), live.as_str()) else { return false };
    let unit = path.rsplit('.').next().unwrap_or_default();
    if ["memory", "storage", "ephemeral-storage", "sizeLimit"].contains(&unit) {
        return Bytes::parse(desired).is_ok() && Bytes::parse(desired) == Bytes::parse(live);
    }
    unit == "cpu" && milli(desired).is_some() && milli(desired) == milli(live)
}

fn milli(cpu: &str) -> Option<u64> {
    if let Some(number) = cpu.strip_suffix('m') {
        return number.parse().ok();
    }
    let (whole, fraction) = cpu.split_once('.').unwrap_or((cpu, ""));
    (fraction.len() <= 3).then_some(())?;
    Some(whole.parse::<u64>().ok()? * 1000 + format!("{fraction:0<3}").parse::<u64>().ok()?)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn change(desired: &Value, live: &Value) -> Option<(String, String)> {
    let text = |value: &Value| if value.is_null() { "absent".to_owned() } else { value.to_string() };
    let (from, to) = (text(live), text(desired));
    let readable = |text: &str| text.len() <= VALUE_LENGTH_MAX && !text.contains("\\n");
    (readable(&from) && readable(&to)).then_some((from, to))
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Some((from, to)) => write!(out, "{} {from} → {to}", self.path),
            None => write!(out, "{}", self.path),
        }
    }
}
