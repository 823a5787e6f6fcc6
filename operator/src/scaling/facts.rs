//! What the scaler must know of an origin beside what its pods say: plain data, made from what a reconcile has observed. Pure.

use std::net::SocketAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod as KubePod;
use mediaorigin_crds::autoscaling::{Autoscaling, Load, Mode};
use mediaorigin_crds::v1alpha1::TargetsSpec;
use mediaorigin_crds::validate::validate;
use mediaorigin_scaler::{Decision, Phase};
use serde_json::Value;

use super::learned;

use crate::observed::Observed;
use crate::part::Part;
use crate::pods;
use crate::report::admin_address;

/// An origin that is scaled.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its identity.
    pub uid: String,
    /// How it is scaled.
    pub spec: Autoscaling,
    /// What `spec.replicas` says.
    pub spec_replicas: u32,
    /// Pods that its Deployment is asked for; 0 where there is none yet.
    pub asked: u32,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// What an earlier operator had learned of its pods.
    pub learned: Load,
    /// When this was so.
    pub now: Timestamp,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its identity.
    pub uid: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// When it was created.
    pub created: Timestamp,
    /// When it became ready; `None` while it is not.
    pub ready: Option<Timestamp>,
    /// Where it is asked; `None` before it runs.
    pub address: Option<SocketAddr>,
}

/// What was decided, as reconciles know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The decision.
    pub decision: Decision,
    /// What a pod can carry, as far as it was learned.
    pub learned: Option<TargetsSpec>,
}

/// How the number of pods of an origin is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Who decides.
    pub mode: Mode,
    /// What was decided last; nothing yet where the operator has just begun to watch the pods, or does not decide.
    pub told: Option<Told>,
}

impl Facts {
    /// What is to be known of an origin whose number of pods the operator decides; `None` of any other.
    pub fn of(observed: &Observed) -> Option<Self> {
        let (spec, spec_replicas) = wanted(observed).filter(|(spec, _)| spec.mode == Mode::Internal)?;
        if observed.deleting {
            return None;
        }
        let learned = observed.status.scaling.as_ref().and_then(|scaling| scaling.learned.as_ref());
        let learned = learned.map(|targets| learned::load(targets, &spec.given));
        Some(Self {
            uid: observed.uid.clone(),
            spec,
            spec_replicas,
            asked: asked(observed).unwrap_or(0),
            pods: observed.pods.iter().filter_map(pod).collect(),
            learned: learned.unwrap_or_default(),
            now: observed.now,
        })
    }
}

impl Observed {
    /// The same where the operator decides how many pods there are: `spec.replicas` is what was decided. As long as nothing was,
    /// the pods stay as many as they are.
    #[must_use]
    pub fn scaled(mut self, told: Option<Told>) -> Self {
        let Some((autoscaling, spec_replicas)) = wanted(&self) else { return self };
        let asked = asked(&self);
        let Ok(spec) = &mut self.spec else { return self };
        if autoscaling.mode == Mode::Internal && spec_replicas > 0 {
            let decided =
                told.as_ref().map(|told| told.decision.replicas).or(asked.filter(|asked| *asked > 0));
            let replicas = autoscaling.bounds.clamp(decided.unwrap_or(spec_replicas));
            spec.replicas = i32::try_from(replicas).unwrap_or(spec.replicas);
        }
        self.scaling = Some(Scaling { mode: autoscaling.mode, told });
        self
    }
}

/// How a valid spec with `autoscaling` is scaled, and its own number of pods.
fn wanted(observed: &Observed) -> Option<(Autoscaling, u32)> {
    let spec = observed.spec.as_ref().ok().filter(|spec| spec.autoscaling.is_some())?;
    let accepted = validate(Some(&observed.namespace), &observed.name, spec).ok()?;
    Some((accepted.autoscaling, u32::try_from(spec.replicas).ok()?))
}

/// Pods that the Deployment is asked for, where there is one.
fn asked(observed: &Observed) -> Option<u32> {
    let deployment = observed.children.get(&Part::Deployment).filter(|live| observed.owns(live))?;
    deployment.pointer("/spec/replicas").and_then(Value::as_u64)?.try_into().ok()
}

fn pod(pod: &KubePod) -> Option<Pod> {
    let uid = pod.metadata.uid.clone()?;
    let created = pod.metadata.creation_timestamp.as_ref()?.0;
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    let ready = ready.filter(|ready| ready.status == "True");
    let ready = ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0);
    let is_going = pod.metadata.deletion_timestamp.is_some();
    let phase = match (is_going, pods::exists(pod), pods::is_ready(pod)) {
        (true, ..) if pods::is_running(pod) => Phase::Leaving,
        (true, ..) | (false, false, _) => return None,
        (false, true, true) => Phase::Ready,
        (false, true, false) => Phase::Coming,
    };
    let address = admin_address(pod).filter(|_| pods::is_running(pod));
    Some(Pod { uid, phase, created, ready, address })
}
