//! What the pods say about themselves, in a sentence for people.

use std::cmp::Reverse;
use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodCondition};

use crate::claim::{Claim, Phase};
use crate::observed::Observed;
use crate::part::Part;
use crate::reasons::{ReadyReason, StalledReason};
use crate::report::admin_address;
use crate::silence;

/// A pod that still has no volume or no container after this time waits for something that may never come.
const VOLUMES_PATIENCE: SignedDuration = SignedDuration::from_secs(15);
/// Restarts from which on a container that is not ready counts as crashing.
const CRASHES: i32 = 2;
/// So long after its last end it counts so even while it runs: one line between two crashes must not look like a recovery.
/// A back-off lasts five minutes at most.
const CRASH_MEMORY: SignedDuration = SignedDuration::from_mins(10);

/// The pods of an origin in numbers, and what is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Pods that are neither finished nor being deleted.
    pub existing: i32,
    /// Those of them that serve.
    pub ready: i32,
    /// Why one of the newest does not, if one does not: the newest of those that do more than start. As many as are wanted are looked at;
    /// older ones are of an earlier template or about to go.
    pub trouble: Option<Trouble>,
}

/// Why a pod does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In one word.
    pub reason: ReadyReason,
    /// In a sentence.
    pub message: String,
}

impl Trouble {
    /// Whether waiting is pointless.
    pub const fn stalls(&self) -> Option<StalledReason> {
        match self.reason {
            ReadyReason::ImagePull => Some(StalledReason::ImagePull),
            ReadyReason::ContainerConfig => Some(StalledReason::ContainerConfig),
            ReadyReason::CrashLoop => Some(StalledReason::CrashLoop),
            ReadyReason::VolumeLost => Some(StalledReason::VolumeLost),
            _ => None,
        }
    }
}

/// What pods mount that somebody else has to provide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Secrets, each with what must be in it.
    pub secrets: Vec<(String, &'static str)>,
    /// The claim of the disk, once there is one.
    pub claim: Option<Claim>,
}

impl Mounts {
    /// What the spec of `observed` names.
    pub fn of(observed: &Observed) -> Self {
        let Ok(spec) = &observed.spec else { return Self::default() };
        let publisher = spec.access.write.as_ref().and_then(|write| write.secret_ref.as_ref());
        let publisher = publisher.map(|secret| (secret, "username and password"));
        let store = spec.object_store.as_ref();
        let store = store.and_then(|store| store.credentials_secret_ref.as_ref());
        let store = store.map(|secret| (secret, "the credentials of the object store"));
        let tls = spec.service.tls.as_ref();
        let certificate = tls.map(|tls| (&tls.secret_ref, "tls.crt and tls.key"));
        let authorities = tls.and_then(|tls| tls.client_ca_secret_ref.as_ref());
        let authorities = authorities.map(|secret| (secret, "ca.crt"));
        let nats = spec.coordination.as_ref().and_then(|fleet| fleet.nats.credentials_secret_ref.as_ref());
        let nats = nats.map(|secret| (secret, "username and password of NATS"));
        let named = [publisher, store, nats, certificate, authorities].into_iter().flatten();
        let secrets = named.map(|(secret, what)| (secret.name.clone(), what)).collect();
        let disk = spec.disk.as_ref().filter(|disk| disk.storage_class_name.is_some());
        let live = disk.and_then(|_| observed.children.get(&Part::PersistentVolumeClaim));
        Self { secrets, claim: live.map(Claim::read) }
    }
}

/// Counts pods and finds the trouble of the newest, of which so many are `wanted`.
pub fn census(pods: &[Pod], mounts: &Mounts, wanted: i32, now: Timestamp) -> Census {
    let mut existing: Vec<&Pod> = pods.iter().filter(|pod| exists(pod)).collect();
    let ready = existing.iter().filter(|pod| is_ready(pod)).count();
    existing.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Reverse((created, pod.metadata.name.clone()))
    });
    let newest = existing.iter().take(usize::try_from(wanted).unwrap_or_default().max(1));
    let troubles = newest.filter(|pod| !is_ready(pod)).map(|pod| trouble(pod, mounts, now));
    // Of equal ones the first, which is the newest.
    let trouble = troubles.min_by_key(|trouble| trouble.reason == ReadyReason::Starting);
    let count = |pods| i32::try_from(pods).unwrap_or(i32::MAX);
    Census { existing: count(existing.len()), ready: count(ready), trouble }
}

/// Neither finished nor being deleted.
pub fn exists(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Its container runs.
pub fn is_running(pod: &Pod) -> bool {
    let running =
        |container: &ContainerStatus| container.state.as_ref().is_some_and(|state| state.running.is_some());
    container(pod).is_some_and(running)
}

/// Where its admin port is, if it exists and has a process.
pub fn may_answer(pod: &Pod) -> Option<SocketAddr> {
    admin_address(pod).filter(|_| exists(pod) && is_running(pod))
}

/// No pod has to be looked at again soon.
pub fn all_ready(pods: &[Pod]) -> bool {
    pods.iter().filter(|pod| exists(pod)).all(is_ready)
}

/// It serves.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// A condition of the pod.
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

fn trouble(pod: &Pod, mounts: &Mounts, now: Timestamp) -> Trouble {
    let name = pod.metadata.name.as_deref().unwrap_or("?");
    let found = mounts
        .claim
        .as_ref()
        .and_then(|claim| unbound(pod, claim, now))
        .or_else(|| unschedulable(pod))
        .or_else(|| container(pod).and_then(waiting))
        .or_else(|| container(pod).and_then(|container| crashing(container, now)))
        .or_else(|| volumes_pending(pod, mounts, now))
        .or_else(|| unreachable(pod));
    let (reason, message) = found.unwrap_or((ReadyReason::Starting, "is starting".to_owned()));
    Trouble { reason, message: format!("pod {name} {message}") }
}

/// Taken out of the Service by [`crate::silence`].
fn unreachable(pod: &Pod) -> Option<(ReadyReason, String)> {
    let condition = condition(pod, "Ready")?;
    let is_ours = condition.status == "False" && condition.reason.as_deref() == Some(silence::REASON);
    let node = || pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("?");
    is_ours.then(|| (ReadyReason::Unreachable, format!("on node {} does not answer", node())))
}

/// What the kubelet says of the one container.
pub fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|container| container.name == crate::plan::workload::CONTAINER)
}

fn unschedulable(pod: &Pod) -> Option<(ReadyReason, String)> {
    refused_by_scheduler(pod).map(|message| (ReadyReason::Unschedulable, format!("has no node: {message}")))
}

/// Why the scheduler has no node for it.
pub fn refused_by_scheduler(pod: &Pod) -> Option<&str> {
    let condition = condition(pod, "PodScheduled")?;
    let pending = condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable");
    pending.then(|| condition.message.as_deref().unwrap_or("no node fits"))
}

/// The disk has no volume. A class may make one only for a pod that has a node: then what keeps the pod from a node is the cause.
fn unbound(pod: &Pod, claim: &Claim, now: Timestamp) -> Option<(ReadyReason, String)> {
    let Claim { name, class, phase, requested, .. } = claim;
    match phase {
        Phase::Bound => return None,
        Phase::Lost => {
            let message =
                format!("has lost its disk: the volume of PersistentVolumeClaim \"{name}\" is gone");
            return Some((ReadyReason::VolumeLost, message));
        }
        Phase::Pending => {}
    }
    let said = refused_by_scheduler(pod);
    let words = ["volume", "storage"]; // also as persistentvolumeclaim and storageclass
    let is_about_disks = |said: &str| words.iter().any(|word| said.to_ascii_lowercase().contains(word));
    if said.is_some_and(|said| !is_about_disks(said)) {
        return None;
    }
    let since = pod.metadata.creation_timestamp.as_ref()?.0;
    if now.duration_since(since) < VOLUMES_PATIENCE {
        return Some((ReadyReason::Starting, "waits for the volume of its disk".to_owned()));
    }
    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
    let message = format!(
        "has no disk: PersistentVolumeClaim \"{name}\" is not bound; is there a StorageClass \"{class}\" that makes a \
         volume of {requested}?{said}"
    );
    Some((ReadyReason::VolumeUnbound, message))
}

fn waiting(container: &ContainerStatus) -> Option<(ReadyReason, String)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref()? {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable" => {
            let image = &container.image;
            Some((ReadyReason::ImagePull, format!("cannot get image \"{image}\": {}", pull_error(message))))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some((ReadyReason::ContainerConfig, format!("cannot create its container: {message}")))
        }
        "CrashLoopBackOff" => Some((ReadyReason::CrashLoop, last_words(container))),
        _ => None,
    }
}

/// The kubelet changes between two texts for one state; only the part that both share is reported.
fn pull_error(message: &str) -> &str {
    let cause = message.split_once("ErrImagePull: ").map_or(message, |(_, cause)| cause);
    if cause.is_empty() || cause.starts_with("Back-off") { "the pull failed" } else { cause }
}

fn crashing(container: &ContainerStatus, now: Timestamp) -> Option<(ReadyReason, String)> {
    let stands =
        container.state.as_ref().is_some_and(|state| state.waiting.is_some() || state.terminated.is_some());
    let ended =
        container.last_state.as_ref().and_then(|state| state.terminated.as_ref()?.finished_at.as_ref());
    let recent = ended.is_some_and(|ended| now.duration_since(ended.0) <= CRASH_MEMORY);
    (container.restart_count >= CRASHES && (stands || recent))
        .then(|| (ReadyReason::CrashLoop, last_words(container)))
}

fn last_words(container: &ContainerStatus) -> String {
    let terminated = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
        state.and_then(|state| state.terminated.clone())
    };
    let last = terminated(container.last_state.as_ref()).or_else(|| terminated(container.state.as_ref()));
    let Some(ContainerStateTerminated { exit_code, reason, message, .. }) = last else {
        return "crashes again and again".to_owned();
    };
    let reason = reason.filter(|reason| reason != "Error").map(|reason| format!(" ({reason})"));
    let message = message.map(|message| last_lines(&message)).filter(|message| !message.is_empty());
    format!(
        "crashes again and again, last with exit code {exit_code}{}{}",
        reason.unwrap_or_default(),
        message.map(|message| format!(": {message}")).unwrap_or_default()
    )
}

/// The last three lines; earlier ones rarely say why.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(3)..].join("\n")
}

fn volumes_pending(pod: &Pod, mounts: &Mounts, now: Timestamp) -> Option<(ReadyReason, String)> {
    let secrets =
        mounts.secrets.iter().map(|(name, what)| format!("is there a Secret \"{name}\" with {what}?"));
    let claim = mounts
        .claim
        .iter()
        .map(|claim| format!("can the volume of PersistentVolumeClaim \"{}\" come to its node?", claim.name));
    let questions: Vec<String> = secrets.chain(claim).collect();
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "True")?;
    let since = scheduled.last_transition_time.as_ref()?.0;
    // The sandbox is created after the volumes are mounted: a container that already ran or a network says that they are.
    let sandbox =
        condition(pod, "PodReadyToStartContainers").is_some_and(|condition| condition.status == "True");
    let creating = container(pod)
        .and_then(|container| container.state.as_ref()?.waiting.as_ref()?.reason.as_deref())
        == Some("ContainerCreating");
    let is_late = now.duration_since(since) >= VOLUMES_PATIENCE;
    (creating && !sandbox && is_late && !questions.is_empty())
        .then(|| (ReadyReason::VolumesPending, format!("waits for its volumes: {}", questions.join(" "))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Of three pods that are wanted, one that crashes is told although a newer one serves and another one starts; of one that is wanted
    /// only the newest counts.
    #[test]
    fn the_trouble_of_a_fleet_is_that_of_any_of_its_pods() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let pod = |name: &str, minute: u8, status: Value| -> Pod {
            let created = format!("2026-01-01T11:{minute:02}:00Z");
            let metadata = json!({ "name": name, "creationTimestamp": created });
            serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
        };
        let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
        let crashing = json!({ "containerStatuses": [{
            "name": "origin", "image": "x", "imageID": "", "ready": false, "restartCount": 3,
            "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        }] });
        let pods = [pod("old", 1, crashing), pod("starts", 3, json!({})), pod("serves", 2, ready)];
        let told = |wanted: i32| census(&pods, &Mounts::default(), wanted, now).trouble.unwrap();
        assert_eq!(told(3).reason, ReadyReason::CrashLoop);
        assert!(told(3).message.starts_with("pod old "), "{}", told(3).message);
        for wanted in [0, 1, 2] {
            assert_eq!(told(wanted).message, "pod starts is starting", "{wanted}");
        }
        assert_eq!(census(&pods[2..], &Mounts::default(), 3, now).trouble, None);
    }

    /// Two restarts of long ago say nothing about a pod that is not ready now.
    #[test]
    fn old_crashes_are_forgotten_while_the_container_runs() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let reason = |restarts: i32, state: Value, ended: Option<&str>| {
            let pod = json!({ "metadata": { "name": "live-1" }, "status": { "containerStatuses": [{
                "name": "origin", "image": "x", "imageID": "", "ready": false, "restartCount": restarts,
                "state": state,
                "lastState": { "terminated": { "exitCode": 1, "finishedAt": ended } },
            }] } });
            census(&[serde_json::from_value(pod).unwrap()], &Mounts::default(), 1, now)
                .trouble
                .unwrap()
                .reason
        };
        let running = json!({ "running": {} });
        let terminated = json!({ "terminated": { "exitCode": 1 } });
        let waiting = json!({ "waiting": { "reason": "PodInitializing" } });
        let (recent, old) = (Some("2026-01-01T11:50:00Z"), Some("2026-01-01T11:49:59Z"));
        assert_eq!(reason(2, running.clone(), recent), ReadyReason::CrashLoop);
        assert_eq!(reason(1, running.clone(), recent), ReadyReason::Starting);
        assert_eq!(reason(2, running.clone(), old), ReadyReason::Starting);
        assert_eq!(reason(2, running, None), ReadyReason::Starting);
        assert_eq!(reason(2, terminated, old), ReadyReason::CrashLoop);
        assert_eq!(reason(2, waiting, old), ReadyReason::CrashLoop);
    }
}
