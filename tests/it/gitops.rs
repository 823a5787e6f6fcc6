//! What deployment tools make of a `MediaOrigin`: Argo CD's rule in a real Lua, beside kstatus.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use mediaorigin_tests::planner::{State, states};
use mediaorigin_tests::program::ensure_installed;
use serde_json::{Value, json};

use crate::golden;

const RULE: &str = "docs/gitops/health.lua";

/// The rule sees the object and `ipairs`, and nothing else.
const RUNNER: &str = r#"
local text = assert(io.open(arg[1])):read("a")
local function run(obj)
  local health = assert(load(text, "health.lua", "t", { obj = obj, ipairs = ipairs }))()
  print(health.status .. "\t" .. string.gsub(health.message, "%s", " "))
end
"#;

/// A value as Argo CD hands it to Lua: what is null is not there.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => {
            let bytes: Vec<_> = text.bytes().map(|byte| format!("\\{byte:03}")).collect();
            format!("\"{}\"", bytes.concat())
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("{{ {} }}", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("[{}] = {}", literal(&json!(key)), literal(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

/// Health and message of each object.
fn healths<'a>(objects: impl Iterator<Item = &'a Value>) -> Vec<(String, String)> {
    ensure_installed("lua5.4").unwrap();
    let calls: Vec<_> = objects.map(|object| format!("run({})\n", literal(object))).collect();
    let mut lua = Command::new("lua5.4")
        .arg("-")
        .arg(golden::root().join(RULE))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // All of the program is read before anything is printed.
    lua.stdin.take().unwrap().write_all(format!("{RUNNER}{}", calls.concat()).as_bytes()).unwrap();
    let output = lua.wait_with_output().unwrap();
    assert!(output.status.success(), "the rule fails");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| line.split_once('\t').unwrap());
    lines.map(|(status, message)| (status.to_owned(), message.to_owned())).collect()
}

fn scenarios() -> Vec<State> {
    let states = states(&golden::root().join("tests/scenarios/operator")).unwrap();
    assert!(states.len() > 200, "only {} states", states.len());
    states
}

/// The table of the page: what Argo CD shows, by what kstatus says and whether the origin is stopped or paused.
fn table() -> BTreeMap<(String, bool), String> {
    let page = golden::read("docs/gitops.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | `"));
    rows.map(|(kstatus, rest)| {
        let (word, more) = kstatus.split_once('`').unwrap();
        ((word.to_owned(), more.contains("replicas")), rest.split('`').next().unwrap().to_owned())
    })
    .collect()
}

/// Row 34: in every state of every scenario Argo CD shows what the table says, and never the message of another state.
#[test]
fn row_34_argo_cd_shows_what_kstatus_says() {
    let (states, table) = (scenarios(), table());
    let healths = healths(states.iter().map(|state| &state.origin));
    assert_eq!(healths.len(), states.len());
    let mut seen = BTreeMap::<(String, bool), usize>::new();
    for (State { at, origin, kstatus }, (health, message)) in states.iter().zip(&healths) {
        let conditions = origin["status"]["conditions"].as_array().into_iter().flatten();
        let is_paused =
            conditions.filter(|one| one["type"] == "Reconciling").any(|one| one["reason"] == "Paused");
        let stopped = *kstatus == "Current" && (is_paused || origin["spec"]["replicas"] == 0);
        let key = ((*kstatus).to_owned(), stopped);
        assert_eq!(Some(health), table.get(&key), "{at}: kstatus {kstatus}");
        assert!(!message.is_empty(), "{at}: nothing is said");
        *seen.entry(key).or_default() += 1;
    }
    assert_eq!(
        seen.keys().collect::<Vec<_>>(),
        table.keys().collect::<Vec<_>>(),
        "a row that no state is of"
    );
}

/// What no scenario has: an object that nobody has defaulted or seen, and conditions of a version that says less.
#[test]
fn an_object_that_says_nothing_of_itself_is_not_healthy() {
    let fresh = json!({ "metadata": { "generation": 1 }, "spec": {} });
    let default = json!({ "metadata": { "generation": 1 }, "status": { "observedGeneration": -1 } });
    let silent =
        json!({ "metadata": { "generation": 2 }, "status": { "observedGeneration": 2, "conditions": [] } });
    let null = json!({ "metadata": { "generation": 1, "deletionTimestamp": null }, "status": null });
    for (health, message) in healths([&fresh, &default, &silent, &null].into_iter()) {
        assert_eq!((health.as_str(), message.as_str()), ("Progressing", "waits for the operator"));
    }
}

/// `UPDATE=1` rewrites the patch of Argo CD's configuration.
#[test]
fn generated_the_patch_for_argo_cd_holds_the_rule() {
    let rule: Vec<_> = golden::read(RULE).lines().map(|line| format!("    {line}\n")).collect();
    let patch = format!(
        "# Generated from health.lua; `make generate` rewrites it.\ndata:\n  \
         resource.customizations.health.mediaorigin.io_MediaOrigin: |\n{}",
        rule.concat()
    );
    golden::check("docs/gitops/argocd-cm.yaml", &patch);
    let parsed: Value = serde_yaml::from_str(&patch).unwrap();
    let key = "resource.customizations.health.mediaorigin.io_MediaOrigin";
    assert_eq!(parsed["data"][key], golden::read(RULE).as_str());
}
