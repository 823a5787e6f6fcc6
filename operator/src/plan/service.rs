//! The Service in front of the pods.

use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{ServiceSpec, ServiceTypeSpec};
use serde_json::{Map, Value, json};

use super::{Child, selector_map};
use crate::observed::Observed;
use crate::part::Part;

/// The Service of an origin.
pub fn service(observed: &Observed, spec: &ServiceSpec) -> Child {
    let mut port = json!({
        "name": names::MEDIA_PORT_NAME,
        "port": spec.port,
        "targetPort": names::MEDIA_PORT_NAME,
        "protocol": "TCP",
        "appProtocol": scheme(spec),
    });
    if let Some(node_port) = spec.node_port {
        port["nodePort"] = json!(node_port);
    }
    let annotations: Map<String, Value> =
        spec.annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let kind = match spec.kind {
        ServiceTypeSpec::ClusterIP => "ClusterIP",
        ServiceTypeSpec::NodePort => "NodePort",
        ServiceTypeSpec::LoadBalancer => "LoadBalancer",
    };
    let rest = json!({
        "spec": { "type": kind, "selector": selector_map(&observed.name), "ports": [port] },
    });
    Child::new(Part::Service, observed, &annotations, rest)
}

/// The Service whose name stands for the pods themselves, those included that are not ready: for pods that look for each other, and
/// for people who want to see what one of them says.
pub fn pods(observed: &Observed) -> Child {
    let port =
        |name: &str, port: u16| json!({ "name": name, "port": port, "targetPort": name, "protocol": "TCP" });
    let rest = json!({
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": selector_map(&observed.name),
            "ports": [
                port(names::MEDIA_PORT_NAME, names::MEDIA_PORT),
                port(names::ADMIN_PORT_NAME, names::ADMIN_PORT),
            ],
        },
    });
    Child::new(Part::PodsService, observed, &Map::new(), rest)
}

/// What the media port speaks; also a value of `appProtocol` that meshes and load balancers know.
fn scheme(spec: &ServiceSpec) -> &'static str {
    if spec.tls.is_some() { "https" } else { "http" }
}

/// Where the Service is reached inside the cluster.
pub fn endpoint(name: &str, namespace: &str, spec: &ServiceSpec) -> String {
    let scheme = scheme(spec);
    match (scheme, spec.port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{name}.{namespace}.svc"),
        (_, port) => format!("{scheme}://{name}.{namespace}.svc:{port}"),
    }
}
