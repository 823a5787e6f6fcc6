//! All that a plan may look at: plain data, made from JSON as the API server answers it. If a plan wants more, this grows.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use mediaorigin_crds::document;
use mediaorigin_crds::names;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::v1alpha1::{MediaOriginSpec, MediaOriginStatus};
use serde_json::Value;

/// A kind of child, in the order in which children are applied: what a pod mounts comes before the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Identity of the pods; it may do nothing.
    ServiceAccount,
    /// The configuration that the pods mount.
    ConfigMap,
    /// The address in front of the pods.
    Service,
    /// The volume of a disk that outlives the pods.
    PersistentVolumeClaim,
    /// The pods.
    Deployment,
}

impl Kind {
    /// Every kind, in the order of application.
    pub const ALL: [Self; 5] =
        [Self::ServiceAccount, Self::ConfigMap, Self::Service, Self::PersistentVolumeClaim, Self::Deployment];

    /// `Deployment`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Deployment => "Deployment",
        }
    }

    /// The API group, empty for the core.
    pub const fn group(self) -> &'static str {
        match self {
            Self::ServiceAccount | Self::ConfigMap | Self::Service | Self::PersistentVolumeClaim => "",
            Self::Deployment => "apps",
        }
    }

    /// `v1` or `apps/v1`.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::ServiceAccount | Self::ConfigMap | Self::Service | Self::PersistentVolumeClaim => "v1",
            Self::Deployment => "apps/v1",
        }
    }

    /// The resource in URLs: `deployments`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::ServiceAccount => "serviceaccounts",
            Self::ConfigMap => "configmaps",
            Self::Service => "services",
            Self::PersistentVolumeClaim => "persistentvolumeclaims",
            Self::Deployment => "deployments",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One origin and everything around it at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The origin's name, and the name of its children.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its identity: an object of the same name with another uid is another origin.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// Somebody asked to delete it.
    pub deleting: bool,
    /// What is wanted, or why it cannot be read.
    pub spec: Result<MediaOriginSpec, Vec<Problem>>,
    /// What was last reported.
    pub status: MediaOriginStatus,
    /// Objects with the names of children, ours or not.
    pub children: BTreeMap<Kind, Value>,
    /// Pods that carry the origin's labels.
    pub pods: Vec<Pod>,
    /// The time of the observation.
    pub now: Timestamp,
}

impl Observed {
    /// Reads an origin as the API server answers it. A spec that does not parse is a finding, not an error.
    pub fn new(origin: &Value, children: BTreeMap<Kind, Value>, pods: Vec<Pod>, now: Timestamp) -> Self {
        let metadata = &origin["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            deleting: !metadata["deletionTimestamp"].is_null(),
            spec: read_spec(origin),
            status: serde_json::from_value(origin["status"].clone()).unwrap_or_default(),
            children,
            pods,
            now,
        }
    }

    /// The same from JSON and Unix seconds alone: what the scenario scripts have.
    pub fn from_json(
        origin: &Value,
        children: BTreeMap<Kind, Value>,
        pods: &[Value],
        now: i64,
    ) -> Result<Self, serde_json::Error> {
        let pods = pods.iter().map(|pod| serde_json::from_value(pod.clone())).collect::<Result<_, _>>()?;
        let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self::new(origin, children, pods, now))
    }

    /// Children's names that something else has taken.
    pub fn foreign(&self) -> Vec<(Kind, &Value)> {
        self.children
            .iter()
            .filter(|(_, child)| !self.owns(child))
            .map(|(kind, child)| (*kind, child))
            .collect()
    }

    /// Whether `child` carries this origin's owner reference.
    pub fn owns(&self, child: &Value) -> bool {
        let owners = child["metadata"]["ownerReferences"].as_array();
        owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == self.uid.as_str()))
    }
}

/// Labels that select the pods of the origin `name`, and nothing else.
pub fn selector(name: &str) -> [(&'static str, &str); 3] {
    [
        (names::LABEL_COMPONENT, names::COMPONENT_ORIGIN),
        (names::LABEL_INSTANCE, name),
        (names::LABEL_NAME, names::APP_NAME),
    ]
}

/// The selector as text, as `status.selector` shows it.
pub fn selector_text(name: &str) -> String {
    selector(name).map(|(key, value)| format!("{key}={value}")).join(",")
}

fn read_spec(origin: &Value) -> Result<MediaOriginSpec, Vec<Problem>> {
    let spec = match &origin["spec"] {
        Value::Null => Value::Object(serde_json::Map::new()),
        spec => spec.clone(),
    };
    // The second reading is for the path of what is wrong: the first one has none.
    serde_json::from_value(spec).map_err(|error| {
        let (_, problems) = document::parse(&origin.to_string());
        if problems.is_empty() { vec![Problem::new("spec", error.to_string())] } else { problems }
    })
}
