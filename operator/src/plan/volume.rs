//! The volume of a disk that outlives the pod. It is made once and never taken away by an edit: it goes with the origin, by
//! its owner reference, and with nothing else.

use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::{DiskSpec, MediaOriginSpec};
use serde_json::{Map, json};

use super::Child;
use crate::claim::Claim;
use crate::observed::Observed;
use crate::part::Part;

/// The claim of an origin whose disk has a class; what an existing one cannot become is a problem of the spec. An origin without
/// pods needs no volume: the claim that it has is left alone then, and can be deleted before the next pod comes.
pub fn claim(observed: &Observed, spec: &MediaOriginSpec) -> Result<Option<Child>, Vec<Problem>> {
    let disk = spec.disk.as_ref();
    let Some((disk, class)) = disk.and_then(|disk| Some((disk, disk.storage_class_name.as_ref()?))) else {
        return Ok(None);
    };
    let live = observed.children.get(&Part::PersistentVolumeClaim).filter(|live| observed.owns(live));
    let problems = live.map(|live| problems(&Claim::read(live), disk, class)).unwrap_or_default();
    match (problems.is_empty(), spec.replicas) {
        (true, _) => {}
        (false, 0) => return Ok(None),
        (false, _) => return Err(problems),
    }
    // Printed exactly, so that `1024Mi` and `1Gi` are the same claim.
    let size = Bytes::parse(&disk.size).map_or_else(|_| disk.size.clone(), |size| size.to_string());
    let rest = json!({
        "spec": {
            // Not ReadWriteOncePod, which only some drivers know: the origin locks the disk by itself.
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": class,
            "resources": { "requests": { "storage": size } },
        },
    });
    Ok(Some(Child::new(Part::PersistentVolumeClaim, observed, &Map::new(), rest)))
}

fn problems(live: &Claim, disk: &DiskSpec, class: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Claim { name, class: made_with, requested, .. } = live;
    if made_with != class {
        let message = format!(
            "the volume was made with \"{made_with}\", which cannot be changed: write \"{made_with}\"; for another class scale \
             to 0, write the class, delete the PersistentVolumeClaim {name} with everything on it, and scale to 1"
        );
        problems.push(Problem::new("spec.disk.storageClassName", message));
    }
    if Bytes::parse(&disk.size).is_ok_and(|size| size < *requested) {
        let message = format!(
            "{} is less than the {requested} of the volume, which cannot shrink: write at least {requested}",
            disk.size
        );
        problems.push(Problem::new("spec.disk.size", message));
    }
    problems
}
