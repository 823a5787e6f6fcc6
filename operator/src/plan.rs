//! Decides everything: what to write, in which order, why, and when to look again. Pure and total; a second plan on its own
//! result is empty.
//!
//! An object that carries a child's name without our owner reference is never touched. An invalid spec changes nothing:
//! the pods of the last accepted one go on.

pub mod access;
pub mod config;
pub mod coordination;
pub mod credentials;
pub mod difference;
pub mod eviction;
pub mod headroom;
pub mod memory;
pub mod network;
pub mod news;
mod print;
pub mod route;
pub mod service;
pub mod volume;
pub mod workload;

use std::time::Duration;

use jiff::SignedDuration;
use mediaorigin_crds::budget::Budget;
pub use mediaorigin_crds::hash::stable_hash;
use mediaorigin_crds::names;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::ReconciliationSpec;
use mediaorigin_crds::validate::{Accepted, validate};
use serde_json::{Map, Value, json};

use self::coordination::ChartNats;
use self::credentials::Issuance;
use self::difference::{Difference, differences};
use self::news::{News, news};
use crate::observed::{Observed, selector};
use crate::part::Part;
use crate::pods;

/// On every child: a hash of what was applied, so that a removed field is noticed as well as a changed one.
pub const ANNOTATION_APPLIED_HASH: &str = "mediaorigin.io/applied-hash";

/// How soon to look again where nothing is expected to happen.
pub const REQUEUE_STEADY: Duration = Duration::from_mins(10);
/// How soon to look again while pods start: some findings depend on time alone.
pub const REQUEUE_STARTING: Duration = Duration::from_secs(15);
/// How soon to look again at a name that something else has taken: its disappearance makes no event for us.
pub const REQUEUE_COLLISION: Duration = Duration::from_secs(30);

/// What the operator was installed with, as far as plans depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Image of the origin where the spec names none.
    pub origin_image: String,
    /// The namespace in which the operator runs, where it knows it.
    pub operator_namespace: Option<String>,
    /// The NATS that the chart runs beside it.
    pub nats: Option<ChartNats>,
}

/// What to do about one origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the origin's spec is worth.
    pub verdict: Verdict,
    /// Every child as it should be; empty unless the verdict is [`Verdict::Accepted`].
    pub children: Vec<Child>,
    /// The Secrets of ours that belong to them; nobody here knows what is in them.
    pub secrets: Vec<Part>,
    /// What to write, in order.
    pub actions: Vec<Action>,
    /// Nothing is written because somebody asked for that; `children` says what would be.
    pub paused: bool,
    /// When to look again if nothing happens before.
    pub requeue: Duration,
}

/// What an origin's spec is worth.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is carried out.
    Accepted(Budget),
    /// It has these problems and is not carried out.
    Invalid(Vec<Problem>),
    /// It is fine, but these objects stand in the way.
    Collision(Budget, Vec<Collision>),
    /// The origin is being deleted; owner references take its children along.
    Deleting,
}

/// An object that has a child's name and is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The child.
    pub part: Part,
    /// The name.
    pub name: String,
    /// Who owns it, for people.
    pub owner: String,
}

/// A child as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Which.
    pub part: Part,
    /// The fields that are ours, as they are applied.
    pub body: Value,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Server-side apply of a child.
    Apply(Child, Reason),
    /// Makes or renews a Secret.
    Issue(Issuance),
    /// Deletes a child that the spec does not ask for any more.
    Delete {
        /// Which.
        part: Part,
        /// Its identity: another one of its name stays.
        uid: String,
    },
    /// Hands the hot configuration to a pod that serves an earlier one.
    Push {
        /// Name of the pod.
        pod: String,
        /// The generation that it is to serve.
        generation: i64,
    },
    /// Asks the kubelet for another memory limit of a pod that runs.
    Resize {
        /// Name of the pod.
        pod: String,
        /// The limit.
        limit: Bytes,
    },
    /// Marks a pod with what is new in what it has mounted: the kubelet refreshes the files at once then.
    Announce {
        /// Name of the pod.
        pod: String,
        /// What is new.
        news: News,
    },
}

/// Why a child is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is none.
    Missing,
    /// Something else is wanted than what was applied last.
    Edited(Vec<Difference>),
    /// Somebody changed what was applied.
    Drifted(Vec<Difference>),
}

/// What to do about the origin that was observed.
pub fn plan(settings: &Settings, observed: &Observed) -> Plan {
    if observed.deleting {
        return Plan::idle(Verdict::Deleting, REQUEUE_STEADY);
    }
    let Wanted { accepted, children, secrets, look } = match accept(settings, observed) {
        Ok(wanted) => wanted,
        Err(problems) => return Plan::idle(Verdict::Invalid(problems), REQUEUE_STEADY),
    };
    let applies = |part: Part| children.iter().any(|child| child.part == part);
    // What is not wanted is in nobody's way.
    let foreign = observed.foreign().into_iter().filter(|(part, _)| applies(*part) || secrets.contains(part));
    let collisions: Vec<Collision> = foreign
        .map(|(part, child)| Collision { part, name: part.name(&observed.name), owner: owner(child) })
        .collect();
    if !collisions.is_empty() {
        return Plan::idle(Verdict::Collision(accepted.budget, collisions), REQUEUE_COLLISION);
    }
    let verdict = Verdict::Accepted(accepted.budget);
    if is_paused(observed) {
        return Plan { children, secrets, paused: true, ..Plan::idle(verdict, REQUEUE_STEADY) };
    }
    let mut actions = writes(settings, observed, &children);
    actions.extend(news(settings, observed));
    let limit = accepted.budget.limit;
    actions.extend(memory::resizes(observed, &children, limit));
    let is_resized = memory::steps(observed, limit).iter().all(|(_, step)| *step == memory::Step::Done);
    let is_going = |child: &Value| !child["metadata"]["deletionTimestamp"].is_null();
    let is_steady = actions.is_empty()
        && is_resized
        && pods::all_ready(&observed.pods)
        && !observed.children.values().any(is_going);
    let requeue = if is_steady { REQUEUE_STEADY } else { REQUEUE_STARTING };
    let look = look.and_then(|look| Duration::try_from(look).ok()).unwrap_or(requeue);
    Plan { verdict, children, secrets, actions, paused: false, requeue: requeue.min(look) }
}

/// What a valid spec asks for.
struct Wanted {
    accepted: Accepted,
    children: Vec<Child>,
    /// Secrets of ours: they are not applied.
    secrets: Vec<Part>,
    /// When a Secret has to be looked at again.
    look: Option<SignedDuration>,
}

/// Every child of a valid spec, or every problem of an invalid one.
fn accept(settings: &Settings, observed: &Observed) -> Result<Wanted, Vec<Problem>> {
    let spec = observed.spec.as_ref().map_err(Clone::clone)?;
    let mut accepted = validate(Some(&observed.namespace), &observed.name, spec)?;
    let secrets = credentials::wanted(settings, observed, spec);
    if let Some(coordination) = &mut accepted.cold.coordination
        && secrets.contains(&Part::NatsSecret)
    {
        coordination.credentials_dir = Some(names::NATS_DIR.to_owned());
    }
    coordination::check(&accepted.cold).map_err(|problem| vec![problem])?;
    let config = config::config_map(observed, &accepted).map_err(|problem| vec![problem])?;
    let claim = volume::claim(observed, spec)?;
    let children = [
        Some(access::service_account(observed)),
        Some(config),
        Some(service::service(observed, &spec.service)),
        Some(service::pods(observed)),
        network::policy(settings, observed, spec),
        eviction::budget(observed, spec),
        route::route(observed, spec),
        route::monitor(observed, spec),
        claim,
        Some(workload::deployment(settings, observed, spec, &accepted)),
        headroom::deployment(settings, observed, spec, &accepted),
    ];
    // A kind that the cluster does not know is asked for again when it does.
    let children =
        children.into_iter().flatten().filter(|child| !observed.unknown.contains(&child.part)).collect();
    let look = credentials::next_look(observed, &secrets);
    Ok(Wanted { accepted, children, secrets, look })
}

/// By the spec or by the annotation.
fn is_paused(observed: &Observed) -> bool {
    let by_spec = observed.spec.as_ref().is_ok_and(|spec| spec.reconciliation == ReconciliationSpec::Paused);
    by_spec || observed.annotation(names::ANNOTATION_RECONCILIATION) == Some(names::PAUSED)
}

/// What to write, in the order of the parts.
fn writes(settings: &Settings, observed: &Observed, children: &[Child]) -> Vec<Action> {
    let spec = observed.spec.as_ref().ok();
    let issuances = spec.map(|spec| credentials::issuances(settings, observed, spec)).unwrap_or_default();
    let issues = issuances.into_iter().map(|issuance| (issuance.part, Action::Issue(issuance)));
    let applies = children.iter().filter_map(|child| {
        let reason = reason(child, observed.children.get(&child.part))?;
        Some((child.part, Action::Apply(child.clone(), reason)))
    });
    let is_wanted = |part: Part| children.iter().any(|child| child.part == part);
    let left = observed.children.iter().filter(|(part, child)| {
        part.is_optional()
            && !is_wanted(**part)
            && observed.owns(child)
            && child["metadata"]["deletionTimestamp"].is_null()
    });
    let deletes = left.map(|(part, child)| {
        let uid = child["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        (*part, Action::Delete { part: *part, uid })
    });
    let mut writes: Vec<(Part, Action)> = issues.chain(applies).chain(deletes).collect();
    writes.sort_by_key(|(part, _)| *part);
    writes.into_iter().map(|(_, action)| action).collect()
}

fn reason(child: &Child, live: Option<&Value>) -> Option<Reason> {
    let Some(live) = live else { return Some(Reason::Missing) };
    let differences = differences(&child.body, live);
    let hash = |body: &Value| body["metadata"]["annotations"][ANNOTATION_APPLIED_HASH].clone();
    if hash(&child.body) != hash(live) {
        let ours = |difference: &Difference| !difference.path.ends_with(ANNOTATION_APPLIED_HASH);
        return Some(Reason::Edited(differences.into_iter().filter(ours).collect()));
    }
    (!differences.is_empty()).then_some(Reason::Drifted(differences))
}

fn owner(child: &Value) -> String {
    let metadata = &child["metadata"];
    match (&metadata["ownerReferences"][0], &metadata["labels"][names::LABEL_MANAGED_BY]) {
        (owner @ Value::Object(_), _) => {
            format!("owned by {} {}", word(&owner["kind"]), word(&owner["name"]))
        }
        (_, Value::String(manager)) => format!("managed by {manager}"),
        _ => "without an owner".to_owned(),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

impl Plan {
    fn idle(verdict: Verdict, requeue: Duration) -> Self {
        let (children, secrets, actions) = (Vec::new(), Vec::new(), Vec::new());
        Self { verdict, children, secrets, actions, paused: false, requeue }
    }
}

impl Child {
    /// A child of `observed` with our labels, our owner reference, `annotations` and the fields of `rest`.
    fn new(part: Part, observed: &Observed, annotations: &Map<String, Value>, rest: Value) -> Self {
        let mut body = Self::metadata(part, observed);
        body["metadata"]["annotations"] = json!(annotations);
        Self::hashed(part, body, rest)
    }

    /// The same with further labels, over which ours win.
    fn labelled(part: Part, observed: &Observed, mut labels: Map<String, Value>, rest: Value) -> Self {
        let mut body = Self::metadata(part, observed);
        if let Value::Object(ours) = body["metadata"]["labels"].take() {
            labels.extend(ours);
        }
        body["metadata"]["labels"] = json!(labels);
        body["metadata"]["annotations"] = json!({});
        Self::hashed(part, body, rest)
    }

    /// Its kind, name, labels and owner.
    fn metadata(part: Part, observed: &Observed) -> Value {
        let mut labels: Map<String, Value> = selector_map(&observed.name);
        labels.insert(names::LABEL_MANAGED_BY.to_owned(), json!(names::MANAGER));
        json!({
            "apiVersion": part.api_version(),
            "kind": part.kind(),
            "metadata": {
                "name": part.name(&observed.name),
                "namespace": observed.namespace,
                "labels": labels,
                // Without blockOwnerDeletion: it would need rights on the finalizers of MediaOrigins.
                "ownerReferences": [{
                    "apiVersion": names::API_VERSION,
                    "kind": names::KIND,
                    "name": observed.name,
                    "uid": observed.uid,
                    "controller": true,
                }],
            },
        })
    }

    fn hashed(part: Part, mut body: Value, rest: Value) -> Self {
        if let (Value::Object(body), Value::Object(rest)) = (&mut body, rest) {
            body.extend(rest);
        }
        let hash = stable_hash(&body.to_string());
        body["metadata"]["annotations"][ANNOTATION_APPLIED_HASH] = json!(hash);
        Self { part, body }
    }
}

/// The selector labels as JSON.
fn selector_map(name: &str) -> Map<String, Value> {
    selector(name).into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
}
