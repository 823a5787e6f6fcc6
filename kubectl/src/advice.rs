//! What to do about a reason, in the words of `docs/conditions.md` (a test compares the two).

use mediaorigin_operator::reasons::{HealthReason, ProgressReason, ReadyReason, RoutedReason, StalledReason};
use mediaorigin_scaler::Reason;

/// What to do about a reason of `Ready`; nothing where there is nothing to do.
pub const fn about(reason: ReadyReason) -> Option<&'static str> {
    Some(match reason {
        ReadyReason::Serving | ReadyReason::Stopped => return None,
        ReadyReason::Invalid => "see Accepted",
        ReadyReason::NameCollision => "rename one of the two",
        ReadyReason::Refused => "usually a quota, a policy or a taken node port",
        ReadyReason::ApiError => "wait, it is tried again with growing pauses",
        ReadyReason::Starting => "wait",
        ReadyReason::VolumesPending => "create the Secret named",
        ReadyReason::VolumeUnbound => {
            "name a StorageClass that makes volumes (kubectl get storageclass). A claim that is already made keeps its class: scale to \
             0, mend the class, delete the PersistentVolumeClaim of the origin's name, scale back"
        }
        ReadyReason::VolumeLost => {
            "restore the volume, or scale to 0, delete the PersistentVolumeClaim of the origin's name and scale back"
        }
        ReadyReason::Unschedulable => "lower spec.memory.limit or spec.cpu.request, or add a node",
        ReadyReason::ImagePull => "mend spec.podTemplate.image or its pull secret",
        ReadyReason::ContainerConfig => "the message names what is missing",
        ReadyReason::CrashLoop => "read them",
        ReadyReason::Unreachable => "look at the node named",
        ReadyReason::PodsForbidden => "the message names which",
    })
}

/// The same of the text of a reason, of `Ready` or of `Stalled`, as a whole sentence.
pub fn sentence(reason: &str) -> Option<String> {
    if reason == StalledReason::Invalid.as_str() {
        return Some("mend the fields that Accepted names".to_owned());
    }
    if let Some(known) = others(reason) {
        return Some(known.to_owned());
    }
    if reason == StalledReason::DeadlineExceeded.as_str() {
        return Some("the rollout does not move on: read the message of Ready and of the pods".to_owned());
    }
    let known = ReadyReason::ALL.iter().find(|known| known.as_str() == reason)?;
    Some(match known {
        ReadyReason::CrashLoop => "read the last words of the pod (kubectl logs --previous)".to_owned(),
        known => about(*known)?.to_owned(),
    })
}

/// The same of the reasons of the other conditions. `NoReport` and what only takes its time need nobody.
fn others(reason: &str) -> Option<&'static str> {
    let is = |known: &[&str]| known.contains(&reason);
    let health = |known: HealthReason| known.as_str();
    if is(&[StalledReason::ConfigRefused.as_str()]) {
        Some("mend the field that Configured names")
    } else if is(&[ProgressReason::Configuring.as_str()]) {
        Some("wait; if it stays, the operator cannot reach the pod's port 8081")
    } else if is(&[ProgressReason::Paused.as_str()]) {
        Some("take spec.reconciliation: Paused, or the annotation mediaorigin.io/reconciliation, away again")
    } else if is(&[health(HealthReason::BucketDenied)]) {
        Some("mend spec.objectStore or its Secret")
    } else if is(&[health(HealthReason::BucketUnavailable), health(HealthReason::BucketFull)]) {
        Some("look at the object store")
    } else if is(&[health(HealthReason::DiskFull)]) {
        Some("raise spec.disk.size, or lower disk.keepSeconds of a policy")
    } else if is(&[health(HealthReason::DiskDenied), health(HealthReason::DiskUnavailable)]) {
        Some("look at the volume and its node")
    } else if is(&[health(HealthReason::LogFull)]) {
        Some("give NATS more storage, or lower spec.coordination.nats.walSize")
    } else if is(&[health(HealthReason::LogUnavailable)]) {
        Some("look at the NATS servers of spec.coordination")
    } else if is(&[health(HealthReason::SecretRefused)]) {
        Some("mend the keys of the publishers' Secret that Healthy names")
    } else if is(&[health(HealthReason::CertificateRefused)]) {
        Some("mend the Secret of spec.service.tls")
    } else if is(&[StalledReason::ScalingConflict.as_str()]) {
        Some("let that autoscaler name the MediaOrigin, with spec.autoscaling.mode External, or delete it")
    } else if is(&[Reason::AtMax.as_str()]) {
        Some("raise spec.autoscaling.maxReplicas, or expect requests to be shed")
    } else if is(&[Reason::DataMissing.as_str()]) {
        Some("the operator cannot ask the pods at port 8081: see Healthy, and what stands between them")
    } else if is(&[RoutedReason::NotAccepted.as_str()]) {
        Some("mend spec.route, or the listener of the Gateway")
    } else if is(&[RoutedReason::NoGatewayApi.as_str()]) {
        Some("install the Gateway API")
    } else {
        None
    }
}
