//! What an API server does with patches, as far as a planner can notice.

use serde_json::{Value, json};

/// A merge patch (RFC 7386): null removes.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        match (value, target.as_object_mut()) {
            (Value::Null, Some(target)) => {
                target.remove(key);
            }
            _ => merge(&mut target[key], value),
        }
    }
}

/// Merges what is applied; items of lists are told apart by `name`, as far as they have one.
pub(super) fn merge_applied(target: &mut Value, body: &Value) {
    match (target, body) {
        (Value::Object(target), Value::Object(body)) => {
            for (key, value) in body {
                merge_applied(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(body)) if named(body) && named(target) => {
            for item in body {
                match target.iter_mut().find(|other| other["name"] == item["name"]) {
                    Some(other) => merge_applied(other, item),
                    None => target.push(item.clone()),
                }
            }
        }
        (target, body) => *target = body.clone(),
    }
}

/// Removes from `live` what is in `previous` and not in `body`.
pub(super) fn remove_absent(live: &mut Value, previous: &Value, body: &Value) {
    match (live, previous) {
        (Value::Object(live), Value::Object(previous)) => {
            for (key, value) in previous {
                if body.get(key).is_none() {
                    live.remove(key);
                } else if let Some(live) = live.get_mut(key) {
                    remove_absent(live, value, &body[key]);
                }
            }
        }
        (Value::Array(live), Value::Array(previous)) if named(previous) => {
            let in_body = |item: &Value| body.as_array()?.iter().find(|other| other["name"] == item["name"]);
            live.retain(|item| {
                in_body(item).is_some() || !previous.iter().any(|old| old["name"] == item["name"])
            });
            for item in live {
                let old = previous.iter().find(|old| old["name"] == item["name"]);
                if let (Some(old), Some(new)) = (old, in_body(item)) {
                    remove_absent(item, old, &new.clone());
                }
            }
        }
        _ => {}
    }
}

fn named(items: &[Value]) -> bool {
    items.iter().all(|item| item["name"].is_string())
}
