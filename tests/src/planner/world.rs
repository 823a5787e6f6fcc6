//! A simulated cluster: as much of an API server and of the Deployment's controller as a planner can notice.

mod agents;
mod kubelet;
mod rollout;
mod scaling;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};
use mediaorigin_operator::apply::{Applied, Refusal};
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::plan::{Action, Plan, Settings, plan};
use mediaorigin_operator::report::PodReport;
use mediaorigin_operator::scaling::facts::Told;
use mediaorigin_operator::status::{Report, status};
use serde_json::{Value, json};

use self::agents::Mood;
pub(super) use self::agents::chart_nats;
use super::kstatus::kstatus;
use super::merge::{merge, merge_applied, remove_absent};
use super::plugin::Plugin;

/// When every script starts: 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;
/// Where a pod keeps what its template was.
const TEMPLATE: &str = "test/template";

/// The simulated cluster.
#[derive(Default)]
pub(super) struct World {
    origin: Value,
    children: BTreeMap<Part, Value>,
    /// What was applied last: server-side apply removes what is missing from the next one.
    applied: BTreeMap<Part, Value>,
    refusals: Vec<Refusal>,
    /// Pods that the API server does not let be resized at the next reconcile, and its words.
    not_resized: Vec<(String, String)>,
    pods: Vec<Value>,
    pods_made: u32,
    /// What the pods say, by their name.
    reports: BTreeMap<String, PodReport>,
    /// What the pods make of the next configurations that are handed to them, if they do not take them.
    moods: BTreeMap<String, Mood>,
    /// Kinds that this cluster does not have.
    unknown: BTreeSet<Part>,
    /// Version of the credentials of the chart's NATS.
    nats: Option<String>,
    /// What the scaler decided.
    told: Option<Told>,
    /// Autoscalers that name the Deployment.
    rivals: Vec<String>,
    seconds: i64,
    plugin: Plugin,
}

/// Whether a step is followed by YAML up to `end`.
pub(super) fn takes_block(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    matches!(words[..], ["origin" | "edit" | "drift" | "foreign" | "answers" | "write", ..] | ["secret"])
}

impl World {
    /// Carries out one step and returns what it prints.
    pub(super) fn step(&mut self, line: &str, block: &str) -> Result<String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "origin" => self.create(yaml(block)?),
            "edit" => self.edit(&yaml(block)?),
            "drift" => merge(self.child(rest)?, &yaml(block)?),
            "foreign" => {
                self.children.insert(part(rest)?, yaml(block)?);
            }
            "remove" => {
                self.children.remove(&part(rest)?).context("there is none")?;
                self.applied.remove(&part(rest)?);
            }
            "refuse" => {
                let (name, message) = rest.split_once(' ').context("words are missing")?;
                self.refusals.push(Refusal { part: part(name)?, message: message.to_owned() });
            }
            "serving" => self.serve()?,
            "rollout" => self.rollout(None)?,
            "forbid" => self.rollout(Some(rest))?,
            "late" => {
                let condition =
                    json!({ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" });
                self.child("Deployment")?["status"]["conditions"] = json!([condition]);
            }
            "pod" => self.pod(rest)?,
            "volume" if rest == "gone" => {
                self.child("PersistentVolumeClaim")?;
                self.children.remove(&Part::PersistentVolumeClaim);
            }
            "volume" => self.volume(rest)?,
            "says" => self.says(rest)?,
            "kubelet" => self.kubelet(rest)?,
            "unknown" => {
                self.unknown.insert(part(rest)?);
            }
            "known" => {
                self.unknown.remove(&part(rest)?);
            }
            "nats" => self.nats = (rest != "unseen").then(|| rest.to_owned()),
            "decide" => self.decide(rest)?,
            "rivals" => self.rivals = rest.split_whitespace().map(str::to_owned).collect(),
            "route" => {
                let (status, reason) = rest.split_once(' ').context("a status and a reason")?;
                let accepted = json!({ "type": "Accepted", "status": status, "reason": reason, "message": "as the gateway says" });
                let parents = json!([{ "parentRef": { "name": "edge" }, "conditions": [accepted] }]);
                self.child("HTTPRoute")?["status"] = json!({ "parents": parents });
            }
            "clock" => self.seconds += rest.trim_start_matches('+').parse::<i64>()?,
            "delete" => self.origin["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            "reconcile" => return self.reconcile(),
            "show" => return self.show(rest),
            "write" => merge(self.find_pod(rest)?, &yaml(block)?),
            "kstatus" => return Ok(kstatus(&self.origin).to_owned()),
            _ => {
                let observed = self.observe()?;
                let block = if block.is_empty() { Value::Null } else { yaml(block)? };
                return self.plugin.step(&observed, line, &block);
            }
        }
        Ok(String::new())
    }

    /// The `MediaOrigin` as it is.
    pub(super) fn origin(&self) -> &Value {
        &self.origin
    }

    /// What would be planned and reported now.
    pub(super) fn plan(&self) -> Result<(Plan, Report)> {
        let observed = self.observe()?;
        let settings = Settings {
            origin_image: "mediaorigin:test".to_owned(),
            operator_namespace: Some("mediaorigin-system".to_owned()),
            nats: Some(chart_nats()),
        };
        let plan = plan(&settings, &observed);
        let applied =
            Applied { plan: plan.clone(), refusals: self.refusals.clone(), not_resized: Vec::new() };
        Ok((plan, status(&observed, &applied)))
    }

    fn observe(&self) -> Result<Observed> {
        let observed =
            Observed::from_json(&self.origin, self.children.clone(), &self.pods, START + self.seconds)?;
        let (reports, unknown) = (self.reports.clone(), self.unknown.clone());
        let (nats_version, rivals) = (self.nats.clone(), self.rivals.clone());
        Ok(Observed { reports, unknown, nats_version, rivals, ..observed }.scaled(self.told.clone()))
    }

    /// As an API server creates it, with the default of the status.
    fn create(&mut self, mut origin: Value) {
        for (key, value) in
            [("namespace", json!("media")), ("uid", json!("uid-of-live")), ("generation", json!(1))]
        {
            origin["metadata"][key] = value;
        }
        origin["apiVersion"] = json!("mediaorigin.io/v1alpha1");
        origin["kind"] = json!("MediaOrigin");
        origin["status"] = json!({ "observedGeneration": -1 });
        self.origin = origin;
    }

    fn edit(&mut self, patch: &Value) {
        let before = self.origin["spec"].clone();
        merge(&mut self.origin, patch);
        if self.origin["spec"] != before {
            let generation = self.origin["metadata"]["generation"].as_i64().unwrap_or_default();
            self.origin["metadata"]["generation"] = json!(generation + 1);
        }
    }

    /// From the `MediaOrigin` to pods that serve, without output.
    fn serve(&mut self) -> Result<()> {
        self.reconcile()?;
        self.rollout(None)?;
        for number in 1..=self.pods.len() {
            self.pod(&format!("live-{number} ready"))?;
        }
        self.rollout(None)?;
        self.reconcile()?;
        Ok(())
    }

    fn reconcile(&mut self) -> Result<String> {
        let before = self.observe()?;
        let (plan, _) = self.plan()?;
        for action in &plan.actions {
            match action {
                Action::Push { pod, generation } => self.push(pod, *generation)?,
                Action::Resize { pod, .. } if self.not_resized.iter().any(|(name, _)| name == pod) => {}
                Action::Resize { pod, limit } => self.resize(pod, *limit)?,
                Action::Issue(issuance) => self.issue(issuance),
                Action::Delete { part, .. } => {
                    self.children.remove(part);
                    self.applied.remove(part);
                }
                Action::Apply(child, _) if self.refusals.iter().any(|refusal| refusal.part == child.part) => {
                }
                Action::Apply(child, _) => self.apply(child.part, &child.body),
                Action::Announce { pod, news } => {
                    self.find_pod(pod)?["metadata"]["annotations"][news.annotation()] = json!(news.value());
                }
            }
        }
        let not_resized = std::mem::take(&mut self.not_resized);
        let applied = Applied { plan, refusals: std::mem::take(&mut self.refusals), not_resized };
        let report = status(&Observed { reports: self.reports.clone(), ..before }, &applied);
        let mut output = applied.plan.to_string();
        if report.changed {
            let before = std::mem::replace(&mut self.origin["status"], serde_json::to_value(&report.status)?);
            print_report(&mut output, &before, &report)?;
        } else {
            writeln!(output, "the status stays")?;
        }
        write!(output, "kstatus {}", kstatus(&self.origin))?;
        Ok(output)
    }

    /// Server-side apply by one manager beside others: what it applied before and does not apply now goes, the rest merges.
    fn apply(&mut self, part: Part, body: &Value) {
        let live = self.children.entry(part).or_insert_with(|| json!({}));
        let before = live["spec"].clone();
        if let Some(previous) = self.applied.get(&part) {
            remove_absent(live, previous, body);
        }
        merge_applied(live, body);
        if live["spec"] != before {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
            live["metadata"]["generation"] = json!(generation + 1);
        }
        if part == Part::PersistentVolumeClaim && live["status"].is_null() {
            live["status"] = json!({ "phase": "Pending" });
        }
        if part == Part::Service {
            live["spec"]["clusterIP"] = json!("10.96.0.7"); // as an API server would
        }
        self.applied.insert(part, body.clone());
    }

    fn pod(&mut self, words: &str) -> Result<()> {
        let (name, what) = words.split_once(' ').context("a pod and what becomes of it")?;
        let (state, rest) = what.split_once(' ').unwrap_or((what, ""));
        let since = "2026-01-01T00:00:00Z";
        let template = self.find_pod(name)?["metadata"]["annotations"][TEMPLATE].as_str().unwrap_or_default();
        let image = serde_json::from_str::<Value>(template)?["spec"]["containers"][0]["image"].clone();
        let scheduled = json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": since });
        let resources = self.resources(name)?;
        let container = |state: Value| {
            json!([{
                "name": "origin", "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": state,
                "resources": resources,
            }])
        };
        let status = match state {
            "gone" => {
                self.pods.retain(|pod| pod["metadata"]["name"] != name);
                return Ok(());
            }
            "ready" | "starting" => {
                let is_ready = if state == "ready" { "True" } else { "False" };
                json!({
                    "conditions": [scheduled, { "type": "Ready", "status": is_ready }],
                    "containerStatuses": container(json!({ "running": {} })),
                })
            }
            "unschedulable" => json!({ "conditions": [
                { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": rest }
            ] }),
            "creating" => json!({
                "conditions": [scheduled, { "type": "PodReadyToStartContainers", "status": "False" }],
                "containerStatuses": container(json!({ "waiting": { "reason": "ContainerCreating" } })),
            }),
            "waiting" => {
                let (reason, message) = rest.split_once(' ').unwrap_or((rest, ""));
                let waiting = json!({ "waiting": { "reason": reason, "message": message } });
                json!({ "conditions": [scheduled], "containerStatuses": container(waiting) })
            }
            "crashed" => {
                let mut words = rest.splitn(3, ' ');
                let code: i32 = words.next().context("an exit code")?.parse()?;
                let terminated = json!({
                    "exitCode": code, "reason": words.next(), "message": words.next(),
                });
                let mut containers = container(json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
                containers[0]["lastState"] = json!({ "terminated": terminated });
                json!({ "conditions": [scheduled], "containerStatuses": containers })
            }
            _ => bail!("a pod cannot become {state}"),
        };
        self.find_pod(name)?["status"] = status;
        if state == "ready" && !self.reports.contains_key(name) {
            let generation = self.origin["metadata"]["generation"].as_i64().unwrap_or_default();
            let report = PodReport { uid: "uid-of-live".to_owned(), generation, ..PodReport::default() };
            self.reports.insert(name.to_owned(), report);
            self.replan(name)?;
        }
        Ok(())
    }

    /// What the driver makes of the claim: `bound 20Gi`, `lost`, or `error WORDS` about its growth.
    fn volume(&mut self, words: &str) -> Result<()> {
        let (state, rest) = words.split_once(' ').unwrap_or((words, ""));
        let status = &mut self.child("PersistentVolumeClaim")?["status"];
        match state {
            "bound" => *status = json!({ "phase": "Bound", "capacity": { "storage": rest } }),
            "lost" => status["phase"] = json!("Lost"),
            "error" => {
                let condition = json!({ "type": "ControllerResizeError", "status": "True", "message": rest });
                status["conditions"] = json!([condition]);
            }
            _ => bail!("a volume cannot become {state}"),
        }
        Ok(())
    }

    fn show(&mut self, words: &str) -> Result<String> {
        let (name, path) = words.split_once(' ').context("a kind and a path")?;
        let child = self.child(name)?;
        match child.pointer(path) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value) => Ok(serde_yaml::to_string(value)?),
            None => Ok("absent".to_owned()),
        }
    }

    fn child(&mut self, name: &str) -> Result<&mut Value> {
        self.children.get_mut(&part(name)?).context("there is no such child")
    }

    fn find_pod(&mut self, name: &str) -> Result<&mut Value> {
        self.pods.iter_mut().find(|pod| pod["metadata"]["name"] == name).context("there is no such pod")
    }
}

/// The conditions that say something else than before, and the events.
fn print_report(out: &mut String, before: &Value, report: &Report) -> Result<()> {
    for condition in &report.status.conditions {
        let (status, reason) = (format!("{:?}", condition.status), condition.reason.as_str());
        let same = |old: &Value| {
            old["type"] == condition.kind.as_str()
                && old["status"] == status.as_str()
                && old["reason"] == reason
                && old["message"] == condition.message.as_str()
        };
        if !before["conditions"].as_array().is_some_and(|all| all.iter().any(same)) {
            let message = condition.message.replace('\n', "\n    ");
            writeln!(out, "{}={status} {reason} {message}", condition.kind)?;
        }
    }
    for event in &report.events {
        writeln!(out, "event {} {}", if event.warning { "Warning" } else { "Normal" }, event.reason)?;
    }
    Ok(())
}

/// `Service`, `Service-pods`, `Secret-admin`.
pub(super) fn part(name: &str) -> Result<Part> {
    Part::ALL
        .into_iter()
        .find(|part| format!("{}{}", part.kind(), part.suffix()) == name)
        .with_context(|| format!("{name} is no part of an origin"))
}

fn yaml(block: &str) -> Result<Value> {
    let value: Value = serde_yaml::from_str(block)?;
    ensure!(value.is_object(), "not an object: {block}");
    Ok(value)
}
