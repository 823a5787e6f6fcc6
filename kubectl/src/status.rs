//! `status`: how an origin is, and what to do next. Pure.

use mediaorigin_crds::v1alpha1::{Condition, ConditionStatus, MediaOriginStatus, MemoryStatus, NatsSpec};
use mediaorigin_operator::claim::{Claim, Phase};
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::reasons::ConditionType;
use serde::Serialize;

use crate::advice;
use crate::asked::Asked;
use crate::pods::{self, PodReport};
use crate::text::{columns, size};

/// How an origin is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it serves what its spec asks, as far as that is known: `Ready` and not `Stalled`, of the spec as it is now.
    pub healthy: bool,
    /// Generation of its spec.
    pub generation: i64,
    /// The generation that the status speaks of.
    pub observed_generation: i64,
    /// The conditions that the operator reported.
    pub conditions: Vec<Condition>,
    /// Its pods.
    pub pods: Vec<PodReport>,
    /// The memory budget of a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStatus>,
    /// What objects use in the pods that could be asked, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Where it is reached inside the cluster.
    pub endpoint: String,
    /// Where objects are kept.
    pub tiers: Vec<String>,
    /// What to do next; empty where there is nothing to do.
    pub next: Vec<String>,
}

impl Summary {
    /// How the origin is that was observed.
    pub fn of(observed: &Observed, asked: &Asked) -> Self {
        let status = &observed.status;
        let used = asked.values().filter_map(|answer| Some(answer.as_ref().ok()?.memory.used));
        Self {
            namespace: observed.namespace.clone(),
            name: observed.name.clone(),
            healthy: !observed.deleting
                && status.observed_generation == observed.generation
                && is_true(status, ConditionType::Ready)
                && !is_true(status, ConditionType::Stalled),
            generation: observed.generation,
            observed_generation: status.observed_generation,
            conditions: status.conditions.clone(),
            pods: pods::reports(observed, asked),
            memory: status.memory.clone(),
            memory_used_bytes: used.reduce(|one, other| one + other),
            endpoint: status.endpoint.clone(),
            tiers: tiers(observed),
            next: next(observed, asked),
        }
    }

    /// For people: some lines.
    pub fn text(&self) -> String {
        let state = if self.healthy { "ready" } else { "not ready" };
        let mut text = format!("MediaOrigin {}/{}: {state}\n", self.namespace, self.name);
        text.push_str(&columns("  ", &conditions(&self.conditions)));
        let seen = if self.observed_generation == self.generation { ", seen by the operator" } else { "" };
        let mut facts = vec![vec!["generation".to_owned(), format!("{}{seen}", self.generation)]];
        if !self.endpoint.is_empty() {
            facts.push(vec!["endpoint".to_owned(), self.endpoint.clone()]);
        }
        if let Some(memory) = &self.memory {
            facts.push(vec!["memory".to_owned(), budget(memory, self.memory_used_bytes)]);
        }
        facts.push(vec!["tiers".to_owned(), self.tiers.join("\n")]);
        let next = if self.next.is_empty() { "nothing to do".to_owned() } else { self.next.join("\n") };
        facts.push(vec!["next".to_owned(), next]);
        text.push_str(&columns("  ", &facts));
        if self.pods.is_empty() {
            text.push_str("  there is no pod\n");
        } else {
            text.push_str(&columns("  ", &pods::rows(&self.pods)));
        }
        text
    }
}

/// Several origins as a table.
pub fn table(summaries: &[Summary]) -> String {
    let head = ["NAMESPACE", "NAME", "READY", "REASON", "PODS", "MEMORY", "OBJECTS", "ENDPOINT", "NEXT"]
        .map(str::to_owned);
    let row = |summary: &Summary| {
        let ready =
            summary.conditions.iter().find(|condition| condition.kind == ConditionType::Ready.as_str());
        let term = |term: fn(&MemoryStatus) -> &String| {
            summary.memory.as_ref().map(term).cloned().unwrap_or_default()
        };
        let serving = summary.pods.iter().filter(|pod| pod.ready).count();
        vec![
            summary.namespace.clone(),
            summary.name.clone(),
            if summary.healthy { "yes" } else { "no" }.to_owned(),
            ready.map_or_else(|| "NotSeen".to_owned(), |ready| ready.reason.clone()),
            format!("{serving}/{}", summary.pods.len()),
            term(|memory| &memory.limit),
            term(|memory| &memory.objects),
            summary.endpoint.clone(),
            summary.next.first().cloned().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(summaries.iter().map(row)).collect();
    columns("", &rows)
}

/// The conditions as rows. `Reconciling` is left out: it says what `Progressing` says, for programs.
pub fn conditions(conditions: &[Condition]) -> Vec<Vec<String>> {
    let told = conditions.iter().filter(|condition| condition.kind != ConditionType::Reconciling.as_str());
    told.map(|condition| {
        vec![
            condition.kind.clone(),
            format!("{:?}", condition.status),
            condition.reason.clone(),
            condition.message.clone(),
        ]
    })
    .collect()
}

fn budget(memory: &MemoryStatus, used: Option<u64>) -> String {
    let MemoryStatus { limit, objects, base, connections, index, slack } = memory;
    let index = if index == "0" || index.is_empty() { String::new() } else { format!(" + {index} index") };
    let used = used.map(|used| format!("; objects use {}", size(used))).unwrap_or_default();
    format!(
        "{limit} a pod = {objects} objects + {base} base + {connections} connections{index} + {slack} slack{used}"
    )
}

/// Where objects are kept, from the fastest tier down.
fn tiers(observed: &Observed) -> Vec<String> {
    let Ok(spec) = &observed.spec else { return vec!["not known: the spec cannot be read".to_owned()] };
    let mut tiers = vec![format!("memory {}", spec.memory.limit)];
    if let Some(disk) = &spec.disk {
        tiers.push(match &disk.storage_class_name {
            None => format!("disk {}, a cache that goes with the pod", disk.size),
            Some(class) => {
                let claim = observed.children.get(&Part::PersistentVolumeClaim).map(Claim::read);
                format!(
                    "disk {} of class {class}{}",
                    disk.size,
                    claim.map(|claim| volume(&claim)).unwrap_or_default()
                )
            }
        });
    }
    if let Some(coordination) = &spec.coordination {
        let NatsSpec { url, copies, .. } = &coordination.nats;
        let copies = if *copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") };
        tiers.push(format!("log of the fleet at {url}, {copies}"));
    }
    if let Some(store) = &spec.object_store {
        let at = store.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        tiers.push(format!("object store {}{at}", store.url));
    }
    tiers
}

fn volume(claim: &Claim) -> String {
    let phase = match claim.phase {
        Phase::Pending => ", has no volume yet",
        Phase::Bound => ", has its volume",
        Phase::Lost => ", has lost its volume",
    };
    format!("{phase}{}", claim.growth().map(|growth| format!("; {growth}")).unwrap_or_default())
}

/// What to do next, the most urgent first.
pub fn next(observed: &Observed, asked: &Asked) -> Vec<String> {
    if observed.deleting {
        return vec!["wait: it is being deleted, and its children go with it".to_owned()];
    }
    let status = &observed.status;
    let mut next = Vec::new();
    if status.observed_generation != observed.generation {
        next.push(format!(
            "wait until the operator has seen generation {}; if it does not, see what explain says of the operator",
            observed.generation
        ));
    }
    for (kind, trouble) in [
        (ConditionType::Stalled, ConditionStatus::True),
        (ConditionType::Ready, ConditionStatus::False),
        (ConditionType::Progressing, ConditionStatus::True),
        (ConditionType::Progressing, ConditionStatus::False),
        (ConditionType::Configured, ConditionStatus::False),
        (ConditionType::Healthy, ConditionStatus::False),
        (ConditionType::Routed, ConditionStatus::False),
        (ConditionType::ScalingActive, ConditionStatus::True),
        (ConditionType::ScalingActive, ConditionStatus::False),
    ] {
        let Some(condition) = find(status, kind).filter(|condition| condition.status == trouble) else {
            continue;
        };
        next.extend(advice::sentence(&condition.reason).filter(|sentence| !next.contains(sentence)));
    }
    let remarked = asked.values().flatten().any(|answer| !answer.remarks().is_empty());
    if next.is_empty() && remarked {
        next.push("see the remarks of the pods".to_owned());
    }
    if next.is_empty() && is_true(status, ConditionType::Progressing) {
        next.push("wait".to_owned());
    }
    if next.len() > 1 {
        next.retain(|sentence| sentence != "see Accepted");
    }
    next
}

fn is_true(status: &MediaOriginStatus, kind: ConditionType) -> bool {
    find(status, kind).is_some_and(|condition| condition.status == ConditionStatus::True)
}

/// A condition, if it is there.
pub fn find(status: &MediaOriginStatus, kind: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.kind == kind.as_str())
}
