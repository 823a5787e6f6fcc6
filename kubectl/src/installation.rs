//! The operator of the cluster: whether it runs, and which image it gives to origins that name none.

use k8s_openapi::api::apps::v1::Deployment;
use mediaorigin_operator::election::seat::Place;
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::plan::Settings;
use mediaorigin_operator::plan::coordination::ChartNats;

/// Label selector of the operator's Deployment, as the chart makes it.
pub const SELECTOR: &str = "app.kubernetes.io/name=mediaorigin-operator";
/// The version of this plugin, and so of what it plans with.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The operator that looks after an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installation {
    /// This one.
    Found {
        /// Namespace and name of its Deployment.
        place: String,
        /// Image of origins that name none.
        origin_image: Option<String>,
        /// The NATS that its chart runs.
        nats: Option<ChartNats>,
        /// Its version, where the chart says so.
        version: Option<String>,
        /// Pods of it that are ready.
        ready: i32,
        /// Pods of it that are wanted.
        wanted: i32,
    },
    /// None is seen, for this reason.
    Unseen(String),
}

impl Installation {
    /// The one of `deployments` that watches `namespace`.
    pub fn of(deployments: &[Deployment], namespace: &str) -> Self {
        let mut watching: Vec<&Deployment> = deployments
            .iter()
            .filter(|deployment| {
                let only = variable(deployment, "MEDIAORIGIN_NAMESPACE").filter(|only| !only.is_empty());
                only.is_none_or(|only| only == namespace)
            })
            .collect();
        watching.sort_by_key(|deployment| {
            (deployment.metadata.namespace.clone(), deployment.metadata.name.clone())
        });
        let Some(found) = watching.first() else {
            return Self::Unseen(format!("there is no Deployment with {SELECTOR} that watches {namespace}"));
        };
        let name = |part: &Option<String>| part.clone().unwrap_or_default();
        let labels = found.metadata.labels.as_ref();
        let status = found.status.as_ref();
        Self::Found {
            place: format!("{}/{}", name(&found.metadata.namespace), name(&found.metadata.name)),
            origin_image: variable(found, "MEDIAORIGIN_ORIGIN_IMAGE"),
            nats: nats(found),
            version: labels.and_then(|labels| labels.get("app.kubernetes.io/version").cloned()),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or_default(),
            wanted: found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
        }
    }

    /// What the operator plans with, as far as it can be known, and where that is from.
    pub fn settings(&self, asked: Option<&str>, observed: &Observed) -> (Settings, &'static str) {
        let installed = match self {
            Self::Found { origin_image, .. } => origin_image.clone(),
            Self::Unseen(_) => None,
        };
        let running = observed.children.get(&Part::Deployment).filter(|child| observed.owns(child));
        let running = running
            .and_then(|child| child.pointer("/spec/template/spec/containers/0/image")?.as_str())
            .map(str::to_owned);
        let (origin_image, source) = if let Some(image) = asked {
            (image.to_owned(), "as --origin-image says")
        } else if let Some(image) = installed {
            (image, "as the operator was installed")
        } else if let Some(image) = running {
            (image, "as the Deployment has it; what the operator would write is not known here")
        } else {
            (format!("mediaorigin:{VERSION}"), "a guess; what the operator would write is not known here")
        };
        let operator_namespace = match self {
            Self::Found { place, .. } => place.split_once('/').map(|(namespace, _)| namespace.to_owned()),
            Self::Unseen(_) => admitted_namespace(observed),
        };
        let nats = match self {
            Self::Found { nats, .. } => nats.clone(),
            Self::Unseen(_) => copied_nats(observed),
        };
        (Settings { origin_image, operator_namespace, nats }, source)
    }

    /// One sentence about it.
    pub fn sentence(&self) -> String {
        let Self::Found { place, version, ready, wanted, .. } = self else {
            let Self::Unseen(why) = self else { return String::new() };
            return format!("not seen: {why}");
        };
        let state = match (*ready, *wanted) {
            (_, 0) => "scaled to 0: nothing below is carried out".to_owned(),
            (0, wanted) => format!("none of {wanted} ready: nothing below is carried out"),
            (ready, wanted) => format!("{ready} of {wanted} ready"),
        };
        let other = version.as_ref().filter(|version| *version != VERSION).map(|version| {
            format!(
                "; it is version {version}, this plugin {VERSION}: it may plan otherwise than it says here"
            )
        });
        format!("{place}, {state}{}", other.unwrap_or_default())
    }
}

/// A copy of the credentials says that the servers of the spec are those of the chart; of what it is a copy is not known here.
fn copied_nats(observed: &Observed) -> Option<ChartNats> {
    observed.children.get(&Part::NatsSecret).filter(|child| observed.owns(child))?;
    let coordination = observed.spec.as_ref().ok()?.coordination.as_ref()?;
    let url = coordination.nats.url.split(',').next()?.to_owned();
    let credentials = Place { namespace: "?".to_owned(), name: "?".to_owned() };
    Some(ChartNats { url, credentials, authorities: None })
}

/// The namespace that the origin's network policy admits first: the operator's.
fn admitted_namespace(observed: &Observed) -> Option<String> {
    let policy = observed.children.get(&Part::NetworkPolicy)?;
    let admitted = policy.pointer("/spec/ingress/1/from")?.as_array()?.iter();
    let mut namespaces = admitted.filter_map(|from| {
        from["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str().map(str::to_owned)
    });
    namespaces.next()
}

/// The NATS that the operator was told of. Values may speak of the namespace of its pods.
fn nats(deployment: &Deployment) -> Option<ChartNats> {
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let value = |name: &str| Some(variable(deployment, name)?.replace("$(POD_NAMESPACE)", namespace));
    let credentials = value("MEDIAORIGIN_NATS_CREDENTIALS")?.parse().ok()?;
    let authorities = value("MEDIAORIGIN_NATS_AUTHORITIES").and_then(|place| place.parse().ok());
    Some(ChartNats { url: value("MEDIAORIGIN_NATS_URL")?, credentials, authorities })
}

fn variable(deployment: &Deployment, name: &str) -> Option<String> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let all = pod.containers.iter().filter_map(|container| container.env.as_ref()).flatten();
    all.filter(|variable| variable.name == name).find_map(|variable| variable.value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(namespace: &str, watched: &str, ready: i32) -> Deployment {
        let variable = |name: &str, value: &str| json!({ "name": name, "value": value });
        let env = [
            variable("MEDIAORIGIN_ORIGIN_IMAGE", "mediaorigin:9"),
            variable("MEDIAORIGIN_NAMESPACE", watched),
            variable("MEDIAORIGIN_NATS_URL", "nats://mediaorigin-nats.$(POD_NAMESPACE).svc:4222"),
            variable("MEDIAORIGIN_NATS_CREDENTIALS", "$(POD_NAMESPACE)/mediaorigin-nats-auth"),
        ];
        let value: Value = json!({
            "metadata": { "namespace": namespace, "name": "operator", "labels": { "app.kubernetes.io/version": "9.0.0" } },
            "spec": { "replicas": 2, "selector": {}, "template": { "spec": { "containers": [{ "name": "operator", "env": env }] } } },
            "status": { "readyReplicas": ready },
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_nats_of_the_chart_is_the_one_that_the_operator_was_told_of() {
        let Installation::Found { nats, .. } = Installation::of(&[deployment("b", "", 0)], "media") else {
            panic!("no operator")
        };
        let credentials = Place { namespace: "b".to_owned(), name: "mediaorigin-nats-auth".to_owned() };
        let url = "nats://mediaorigin-nats.b.svc:4222".to_owned();
        assert_eq!(nats, Some(ChartNats { url, credentials, authorities: None }));
    }

    #[test]
    fn the_operator_is_the_one_that_watches_the_namespace() {
        let all = [deployment("a", "other", 2), deployment("b", "", 0)];
        let found = Installation::of(&all, "media");
        assert_eq!(
            found.sentence(),
            format!(
                "b/operator, none of 2 ready: nothing below is carried out; it is version 9.0.0, this plugin {VERSION}: it may plan \
                 otherwise than it says here"
            )
        );
        assert!(Installation::of(&all, "other").sentence().starts_with("a/operator, 2 of 2 ready"));
        assert!(
            Installation::of(&all[..1], "media").sentence().starts_with("not seen: there is no Deployment")
        );
    }
}
