//! What to do about a reason, in the words of `docs/conditions.md` (a test compares the two).

use mediaorigin_operator::reasons::{ReadyReason, StalledReason};

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
             0, delete the PersistentVolumeClaim of the origin's name, mend the class, scale back"
        }
        ReadyReason::VolumeLost => {
            "restore the volume, or scale to 0, delete the PersistentVolumeClaim of the origin's name and scale back"
        }
        ReadyReason::Unschedulable => "lower spec.memory.limit or spec.cpu.request, or add a node",
        ReadyReason::ImagePull => "mend spec.podTemplate.image or its pull secret",
        ReadyReason::ContainerConfig => "the message names what is missing",
        ReadyReason::CrashLoop => "read them",
        ReadyReason::PodsForbidden => "the message names which",
    })
}

/// The same of the text of a reason, of `Ready` or of `Stalled`, as a whole sentence.
pub fn sentence(reason: &str) -> Option<String> {
    if reason == StalledReason::Invalid.as_str() {
        return Some("mend the fields that Accepted names".to_owned());
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
