//! All that a plan may look at: plain data, made from JSON as the API server answers it. If a plan wants more, this grows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use mediaorigin_crds::document;
use mediaorigin_crds::names;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::v1alpha1::{MediaOriginSpec, MediaOriginStatus};
use serde_json::Value;

use crate::part::Part;
use crate::report::PodReport;
use crate::scaling::facts::Scaling;

/// One origin and everything around it at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The origin's name; those of its children begin with it.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its identity: an object of the same name with another uid is another origin.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// Somebody asked to delete it.
    pub deleting: bool,
    /// What is wanted, or why it cannot be read. Where the operator decides how many pods there are, its `replicas` is that number:
    /// [`Self::scaled`].
    pub spec: Result<MediaOriginSpec, Vec<Problem>>,
    /// How the number of pods is decided, where `spec.autoscaling` says how.
    pub scaling: Option<Scaling>,
    /// What was last reported.
    pub status: MediaOriginStatus,
    /// Objects with the names of children, ours or not.
    pub children: BTreeMap<Part, Value>,
    /// Parts whose kind the cluster does not know.
    pub unknown: BTreeSet<Part>,
    /// What the pods say, by their name.
    pub reports: BTreeMap<String, PodReport>,
    /// Which version of the credentials of the chart's NATS there is, where the origin needs them and they can be seen.
    pub nats_version: Option<String>,
    /// Autoscalers that name the origin's Deployment.
    pub rivals: Vec<String>,
    /// Pods that carry the origin's labels.
    pub pods: Vec<Pod>,
    /// The time of the observation.
    pub now: Timestamp,
    /// Annotations of the origin.
    pub annotations: BTreeMap<String, String>,
}

impl Observed {
    /// Reads an origin as the API server answers it. A spec that does not parse is a finding, not an error.
    pub fn new(origin: &Value, children: BTreeMap<Part, Value>, pods: Vec<Pod>, now: Timestamp) -> Self {
        let metadata = &origin["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            deleting: !metadata["deletionTimestamp"].is_null(),
            spec: read_spec(origin),
            scaling: None,
            status: serde_json::from_value(origin["status"].clone()).unwrap_or_default(),
            children,
            unknown: BTreeSet::new(),
            reports: BTreeMap::new(),
            nats_version: None,
            rivals: Vec::new(),
            pods,
            now,
            annotations: serde_json::from_value(metadata["annotations"].clone()).unwrap_or_default(),
        }
    }

    /// An annotation of the origin.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// The same from JSON and Unix seconds alone: what the scenario scripts have.
    pub fn from_json(
        origin: &Value,
        children: BTreeMap<Part, Value>,
        pods: &[Value],
        now: i64,
    ) -> Result<Self, serde_json::Error> {
        let pods = pods.iter().map(|pod| serde_json::from_value(pod.clone())).collect::<Result<_, _>>()?;
        let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self::new(origin, children, pods, now))
    }

    /// Children's names that something else has taken.
    pub fn foreign(&self) -> Vec<(Part, &Value)> {
        self.children
            .iter()
            .filter(|(_, child)| !self.owns(child))
            .map(|(part, child)| (*part, child))
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
