//! What is known of a pod in a second.

use jiff::Timestamp;
use mediaorigin_crds::pod_load::PodLoad;

/// A pod as the API server and the pod itself describe it.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSample {
    /// What no other pod is called, ever: its uid.
    pub id: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// When it was created (`metadata.creationTimestamp`).
    pub created: Timestamp,
    /// When it became ready (`lastTransitionTime` of its condition `Ready`); `None` as long as it is not.
    pub ready: Option<Timestamp>,
    /// What it said.
    pub scrape: Scrape,
}

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It exists and does not serve yet.
    Coming,
    /// It serves.
    Ready,
    /// It is being taken away and finishes what it began: what it carries counts, what it could carry does not.
    Leaving,
}

/// What came of asking a pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scrape {
    /// It answered.
    Read(Reading),
    /// It did not answer, or too late.
    Failed,
    /// It was not its turn ([`crate::sampling`]), or it does not listen yet.
    NotAsked,
}

/// The numbers of a pod. Counters begin at 0 when its process does; one that went back is that of a new process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// When it was read: rates are taken over the time between two readings, whatever was planned.
    pub at: Timestamp,
    /// What the pod said.
    pub load: PodLoad,
}
