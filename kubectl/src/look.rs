//! I/O: the cluster as a user's kubeconfig opens it. Reads only, and every call has the operator's deadline.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use futures_util::future::join_all;
use http_types::Request;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod, Secret as StoredSecret};
use kube::Config;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::MediaOrigin;
use mediaorigin_operator::cluster::{Cluster, ClusterError, Found, client_of, within};
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::pods::{exists, is_running};
use serde_json::{Value, json};

use crate::args::Connection;
use crate::asked::{self, Asked};
use crate::installation::{Installation, SELECTOR};
use crate::publisher::Secret;
use crate::streams::Reports;

/// Origins, and pods, that are listed at most.
const LISTED_MAX: u32 = 500;
/// Pods of one origin that are asked, and looked at for events.
const ASKED_MAX: usize = 16;
/// Events of one object that are read.
const EVENTS_MAX: u32 = 100;

/// A pod that does not answer within this time says nothing.
const ASK_TIMEOUT: Duration = Duration::from_secs(4);

/// An origin as far as it can be seen.
pub struct Seen {
    /// As the operator observes it.
    pub observed: Observed,
    /// What the pods say of themselves.
    pub asked: Asked,
    /// Children that may not be read, and why.
    pub unseen: BTreeMap<Part, String>,
}

/// A cluster, and the namespace that is meant where none is named.
pub struct Look {
    cluster: Cluster,
    /// The namespace.
    pub namespace: String,
}

impl Look {
    /// Connects as the arguments and the kubeconfig say.
    pub async fn connect(connection: &Connection) -> Result<Self, anyhow::Error> {
        let config = config(connection).await?;
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        Ok(Self { cluster: Cluster { client: client_of(config, true)? }, namespace })
    }

    /// One origin with its children and pods, and what the pods say of themselves; nothing if there is none. As the operator observes, but
    /// for two things: pods are asked through the API server, and what may not be read is a finding.
    pub async fn origin(&self, name: &str) -> Result<Option<Seen>, ClusterError> {
        let namespace = self.namespace.as_str();
        let Some(origin) = self.cluster.origin(namespace, name).await? else { return Ok(None) };
        let parts =
            Part::ALL.map(|part| async move { (part, self.cluster.child(part, namespace, name).await) });
        let (pods, parts) = tokio::join!(self.cluster.pods(namespace, name), join_all(parts));
        let mut observed = Observed::new(&json!(origin), BTreeMap::new(), pods?, Timestamp::now());
        let mut unseen = BTreeMap::new();
        for (part, found) in parts {
            match found {
                Ok(Found::Nothing) => {}
                Ok(Found::NoSuchKind) => {
                    observed.unknown.insert(part);
                }
                Ok(Found::Child(child)) => {
                    observed.children.insert(part, child);
                }
                Err(error) if error.refusal().is_some() => {
                    unseen.insert(part, one_line(&error));
                }
                Err(error) => return Err(error),
            }
        }
        let answers = self.ask_pods(&observed, "/-/status", |_| true).await;
        observed.reports = asked::reports(&observed, &answers);
        let read = |answer: Value| serde_json::from_value(answer).map_err(|error| error.to_string());
        let asked = answers.into_iter().map(|(pod, answer)| (pod, answer.and_then(read))).collect();
        // What the operator decided is in the Deployment.
        let observed = observed.scaled(None);
        Ok(Some(Seen { observed, asked, unseen }))
    }

    /// All origins with their pods, without their children.
    pub async fn origins(&self, all_namespaces: bool) -> Result<Vec<Observed>, ClusterError> {
        let kind = ApiResource::erase::<MediaOrigin>(&());
        let client = || self.cluster.client.clone();
        let (origins, pods) = if all_namespaces {
            (Api::<DynamicObject>::all_with(client(), &kind), Api::<Pod>::all(client()))
        } else {
            (
                Api::namespaced_with(client(), &self.namespace, &kind),
                Api::namespaced(client(), &self.namespace),
            )
        };
        let limited = ListParams::default().limit(LISTED_MAX);
        let of_origins = limited.clone().labels(&format!("{}={}", names::LABEL_NAME, names::APP_NAME));
        let origins = within("list MediaOrigins".to_owned(), origins.list(&limited)).await?;
        let pods = within("list pods".to_owned(), pods.list(&of_origins)).await?;
        let now = Timestamp::now();
        Ok(origins
            .items
            .iter()
            .map(|origin| {
                let own = pods.items.iter().filter(|pod| belongs(pod, origin)).cloned().collect();
                Observed::new(&json!(origin), BTreeMap::new(), own, now)
            })
            .collect())
    }

    /// What the ready pods of an origin know of its streams.
    pub async fn streams(&self, observed: &Observed) -> Reports {
        self.ask_pods(observed, "/-/streams", is_ready).await
    }

    /// Asks the running pods by the API server's `proxy` subresource: that needs neither a port on this machine nor a connection that
    /// stays, as a port-forward would.
    async fn ask_pods(&self, observed: &Observed, path: &str, wanted: fn(&Pod) -> bool) -> Reports {
        let pods = observed.pods.iter().filter(|pod| exists(pod) && has_address(pod) && wanted(pod));
        let answers = pods.take(ASKED_MAX).map(|pod| async move {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let answer = self.ask_pod(&observed.namespace, &name, admin_port(pod), path).await;
            (name, answer.map_err(|error| refused_by_policy(&error).unwrap_or_else(|| one_line(&error))))
        });
        join_all(answers).await.into_iter().collect()
    }

    async fn ask_pod(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        path: &str,
    ) -> Result<Value, ClusterError> {
        let attempt = format!("ask pod {namespace}/{pod} through the API server");
        let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
        let request = Request::get(uri).body(Vec::new()).map_err(kube::Error::HttpError);
        let answer = within(attempt.clone(), async { self.cluster.client.request::<Value>(request?).await });
        // Not the usual deadline: where a network policy keeps the API server away there is never an answer.
        tokio::time::timeout(ASK_TIMEOUT, answer).await.unwrap_or(Err(ClusterError::Timeout { attempt }))
    }

    /// Events of the origin and its pods, or why they cannot be seen.
    pub async fn events(&self, observed: &Observed) -> Result<Vec<Event>, String> {
        let api = Api::<Event>::namespaced(self.cluster.client.clone(), &observed.namespace);
        let pods = observed.pods.iter().filter_map(|pod| pod.metadata.name.as_deref());
        let objects = std::iter::once((names::KIND, observed.name.as_str()))
            .chain(pods.take(ASKED_MAX).map(|pod| ("Pod", pod)));
        let mut all = Vec::new();
        for (kind, name) in objects {
            let of_object = format!("involvedObject.kind={kind},involvedObject.name={name}");
            let params = ListParams::default().fields(&of_object).limit(EVENTS_MAX);
            let attempt = format!("list the events of {kind} {}/{name}", observed.namespace);
            let found = within(attempt, api.list(&params)).await.map_err(|error| one_line(&error))?;
            all.extend(found.items);
        }
        Ok(all)
    }

    /// The operator, or why it cannot be seen.
    pub async fn installation(&self, namespace: &str) -> Installation {
        let api = Api::<Deployment>::all(self.cluster.client.clone());
        let params = ListParams::default().labels(SELECTOR).limit(LISTED_MAX);
        match within("look for the operator's Deployment".to_owned(), api.list(&params)).await {
            Ok(found) => Installation::of(&found.items, namespace),
            Err(error) => Installation::Unseen(one_line(&error)),
        }
    }

    /// The Secret of the publishers.
    pub async fn secret(&self, namespace: &str, name: &str) -> Secret {
        let api = Api::<StoredSecret>::namespaced(self.cluster.client.clone(), namespace);
        match within(format!("read Secret {namespace}/{name}"), api.get_opt(name)).await {
            Ok(None) => Secret::Missing,
            Ok(Some(secret)) => {
                let values = secret.data.unwrap_or_default().into_iter();
                Secret::Known(values.map(|(key, value)| (key, value.0)).collect())
            }
            Err(error) => Secret::Unseen(one_line(&error)),
        }
    }
}

/// As kubectl: what is named, then `$KUBECONFIG` or the usual file, then the account of the pod that this runs in.
async fn config(connection: &Connection) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
    if let Some(path) = &connection.kubeconfig {
        return Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await;
    }
    match Config::from_kubeconfig(&options).await {
        Err(error) if options.context.is_none() => Config::incluster().map_err(|_| error),
        result => result,
    }
}

/// Where the API server may not reach a pod, somebody who may forward a port can.
fn refused_by_policy(error: &ClusterError) -> Option<String> {
    let ClusterError::Timeout { attempt } = error else { return None };
    let seconds = ASK_TIMEOUT.as_secs();
    Some(format!(
        "cannot {attempt}: no answer within {seconds}s; where a NetworkPolicy keeps the API server away from port 8081, kubectl port-forward reaches it"
    ))
}

fn belongs(pod: &Pod, origin: &DynamicObject) -> bool {
    let label = |name: &str| pod.metadata.labels.as_ref()?.get(name).map(String::as_str);
    pod.metadata.namespace == origin.metadata.namespace
        && label(names::LABEL_INSTANCE) == origin.metadata.name.as_deref()
        && label(names::LABEL_COMPONENT) == Some(names::COMPONENT_ORIGIN)
}

fn has_address(pod: &Pod) -> bool {
    is_running(pod) && pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some())
}

fn is_ready(pod: &Pod) -> bool {
    mediaorigin_operator::pods::all_ready(std::slice::from_ref(pod))
}

/// The admin port as the pod names it: it may be of another version.
fn admin_port(pod: &Pod) -> u16 {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.filter_map(|container| container.ports.as_ref()).flatten();
    let mut admin = ports.filter(|port| port.name.as_deref() == Some(names::ADMIN_PORT_NAME));
    admin.next().and_then(|port| u16::try_from(port.container_port).ok()).unwrap_or(names::ADMIN_PORT)
}

/// An error with its causes in one line, none of them twice.
pub fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    // The client's words for it.
    let text = text.replace("ServiceError: client error (Connect)", "no connection to the API server");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
