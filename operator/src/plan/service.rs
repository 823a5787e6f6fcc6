//! The Service in front of the pods.

use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{ServiceSpec, ServiceTypeSpec};
use serde_json::{Map, Value, json};

use super::{Child, selector_map};
use crate::observed::{Kind, Observed};

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
    Child::new(Kind::Service, observed, &annotations, rest)
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
