//! Decides everything: what to write, in which order, why, and when to look again. Pure and total; a second plan on its own
//! result is empty.
//!
//! An object that carries a child's name without our owner reference is never touched. An invalid spec changes nothing:
//! the pods of the last accepted one go on.

pub mod access;
pub mod config;
pub mod difference;
pub mod service;
pub mod volume;
pub mod workload;

use std::fmt;
use std::time::Duration;

use mediaorigin_crds::budget::Budget;
use mediaorigin_crds::names;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::validate::{Accepted, validate};
use serde_json::{Map, Value, json};

use self::difference::{Difference, differences};
use crate::observed::{Kind, Observed, selector};
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
}

/// What to do about one origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the origin's spec is worth.
    pub verdict: Verdict,
    /// Every child as it should be; empty unless the verdict is [`Verdict::Accepted`].
    pub children: Vec<Child>,
    /// What to write, in order.
    pub actions: Vec<Action>,
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
    /// Kind of the object.
    pub kind: Kind,
    /// Who owns it, for people.
    pub owner: String,
}

/// A child as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind; its name is the origin's.
    pub kind: Kind,
    /// The fields that are ours, as they are applied.
    pub body: Value,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Server-side apply of a child.
    Apply(Child, Reason),
    /// Marks a pod with the generation of its configuration, so that the kubelet refreshes the mounted file at once.
    Announce {
        /// Name of the pod.
        pod: String,
        /// The generation to announce.
        generation: i64,
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
    let (accepted, children) = match accept(settings, observed) {
        Ok(accepted) => accepted,
        Err(problems) => return Plan::idle(Verdict::Invalid(problems), REQUEUE_STEADY),
    };
    // What is not wanted is in nobody's way.
    let wanted = |kind: Kind| children.iter().any(|child| child.kind == kind);
    let foreign = observed.foreign().into_iter().filter(|(kind, _)| wanted(*kind));
    let collisions: Vec<Collision> =
        foreign.map(|(kind, child)| Collision { kind, owner: owner(child) }).collect();
    if !collisions.is_empty() {
        return Plan::idle(Verdict::Collision(accepted.budget, collisions), REQUEUE_COLLISION);
    }
    let mut actions: Vec<Action> = children
        .iter()
        .filter_map(|child| {
            let reason = reason(child, observed.children.get(&child.kind))?;
            Some(Action::Apply(child.clone(), reason))
        })
        .collect();
    actions.extend(announcements(observed));
    let requeue =
        if actions.is_empty() && pods::all_ready(&observed.pods) { REQUEUE_STEADY } else { REQUEUE_STARTING };
    Plan { verdict: Verdict::Accepted(accepted.budget), children, actions, requeue }
}

/// Every child of a valid spec, or every problem of an invalid one.
fn accept(settings: &Settings, observed: &Observed) -> Result<(Accepted, Vec<Child>), Vec<Problem>> {
    let spec = observed.spec.as_ref().map_err(Clone::clone)?;
    let accepted = validate(&observed.name, spec)?;
    let config = config::config_map(observed, &accepted).map_err(|problem| vec![problem])?;
    let claim = volume::claim(observed, spec.disk.as_ref())?;
    let mut children =
        vec![access::service_account(observed), config, service::service(observed, &spec.service)];
    children.extend(claim);
    children.push(workload::deployment(settings, observed, spec, &accepted.cold));
    Ok((accepted, children))
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

fn announcements(observed: &Observed) -> impl Iterator<Item = Action> + '_ {
    let generation = observed.generation;
    observed.pods.iter().filter(|pod| pods::exists(pod)).filter_map(move |pod| {
        let annotations = pod.metadata.annotations.as_ref();
        let announced = annotations.and_then(|all| all.get(names::ANNOTATION_HOT_GENERATION));
        if announced.is_some_and(|announced| *announced == generation.to_string()) {
            return None;
        }
        Some(Action::Announce { pod: pod.metadata.name.clone()?, generation })
    })
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
        Self { verdict, children: Vec::new(), actions: Vec::new(), requeue }
    }
}

impl Child {
    /// A child of `observed` with our labels, our owner reference, `annotations` and the fields of `rest`.
    fn new(kind: Kind, observed: &Observed, annotations: &Map<String, Value>, rest: Value) -> Self {
        let mut labels: Map<String, Value> = selector_map(&observed.name);
        labels.insert(names::LABEL_MANAGED_BY.to_owned(), json!(names::MANAGER));
        let mut body = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.as_str(),
            "metadata": {
                "name": observed.name,
                "namespace": observed.namespace,
                "labels": labels,
                "annotations": annotations,
                // Without blockOwnerDeletion: it would need rights on the finalizers of MediaOrigins.
                "ownerReferences": [{
                    "apiVersion": names::API_VERSION,
                    "kind": names::KIND,
                    "name": observed.name,
                    "uid": observed.uid,
                    "controller": true,
                }],
            },
        });
        if let (Value::Object(body), Value::Object(rest)) = (&mut body, rest) {
            body.extend(rest);
        }
        let hash = stable_hash(&body.to_string());
        body["metadata"]["annotations"][ANNOTATION_APPLIED_HASH] = json!(hash);
        Self { kind, body }
    }
}

/// The selector labels as JSON.
fn selector_map(name: &str) -> Map<String, Value> {
    selector(name).into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
}

/// FNV-1a, 64 bits, in hexadecimal: the same on every platform and in every version. It guards against nothing but accidents.
pub fn stable_hash(text: &str) -> String {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Accepted(_) => writeln!(out, "accepted")?,
            Verdict::Deleting => writeln!(out, "deleting: owner references take the children along")?,
            Verdict::Invalid(problems) => {
                writeln!(out, "invalid, the children stay as they are")?;
                problems.iter().try_for_each(|problem| writeln!(out, "  {problem}"))?;
            }
            Verdict::Collision(_, collisions) => {
                writeln!(out, "blocked, these objects are not ours")?;
                collisions.iter().try_for_each(|collision| writeln!(out, "  {collision}"))?;
            }
        }
        if self.actions.is_empty() {
            return writeln!(out, "nothing to do");
        }
        self.actions
            .iter()
            .enumerate()
            .try_for_each(|(index, action)| writeln!(out, "{}. {action}", index + 1))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announce { pod, generation } => {
                write!(out, "announce generation {generation} to pod {pod}")
            }
            Self::Apply(child, reason) => {
                let verb = match reason {
                    Reason::Missing => "create",
                    Reason::Edited(_) => "update",
                    Reason::Drifted(_) => "repair",
                };
                write!(out, "{verb} {}: {reason}", child.kind)
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |list: &[Difference]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Missing => write!(out, "missing"),
            Self::Edited(differences) if differences.is_empty() => write!(out, "edited, only removals"),
            Self::Edited(differences) => write!(out, "edited, {}", list(differences)),
            Self::Drifted(differences) => write!(out, "drifted, {}", list(differences)),
        }
    }
}

impl fmt::Display for Collision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of the same name, {}", self.kind, self.owner)
    }
}
