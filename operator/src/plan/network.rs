//! Who may reach the pods, and whom they may reach. Enforced by the cluster's network, where that has policies.

use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{MediaOriginSpec, NetworkPolicyModeSpec};
use serde_json::{Map, Value, json};

use super::{Child, Settings, coordination, selector_map};
use crate::observed::Observed;
use crate::part::Part;

/// The label that every namespace has by itself.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// Where clouds tell pods their credentials.
const METADATA_SERVICE: &str = "169.254.169.254/32";
/// The port of OTLP over HTTP.
const OTLP_PORT: u16 = 4318;

/// The `NetworkPolicy` of an origin.
pub fn policy(settings: &Settings, observed: &Observed, spec: &MediaOriginSpec) -> Option<Child> {
    let wanted = &spec.network_policy;
    if wanted.mode == NetworkPolicyModeSpec::Disabled {
        return None;
    }
    // Where the operator does not know its namespace, it must not shut itself out.
    let operator = settings.operator_namespace.as_deref();
    let admins: Vec<Value> = match operator {
        None => vec![json!({ "namespaceSelector": {} })],
        Some(operator) => {
            let named = std::iter::once(operator).chain(wanted.admin_namespaces.iter().map(String::as_str));
            let own = std::iter::once(json!({ "podSelector": {} }));
            own.chain(
                named.map(|name| json!({ "namespaceSelector": { "matchLabels": { NAMESPACE_NAME: name } } })),
            )
            .collect()
        }
    };
    let pods = json!({ "podSelector": { "matchLabels": selector_map(&observed.name) } });
    let mut ingress = vec![
        json!({ "ports": [tcp(names::MEDIA_PORT)] }),
        json!({ "from": admins, "ports": [tcp(names::ADMIN_PORT)] }),
    ];
    let mut egress = egress(spec);
    if spec.coordination.is_some() {
        ingress.push(json!({ "from": [pods], "ports": [tcp(names::PEER_PORT)] }));
        egress.push(json!({ "to": [pods], "ports": [tcp(names::PEER_PORT)] }));
        // Only the ports: the servers name each other to their clients, and an address may be that of a load balancer.
        let ports: Vec<Value> = coordination::ports(spec).into_iter().map(tcp).collect();
        egress.push(json!({ "ports": ports }));
    }
    let rest = json!({
        "spec": {
            "podSelector": pods["podSelector"],
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    });
    Some(Child::new(Part::NetworkPolicy, observed, &Map::new(), rest))
}

fn tcp(port: u16) -> Value {
    json!({ "port": port, "protocol": "TCP" })
}

fn egress(spec: &MediaOriginSpec) -> Vec<Value> {
    let mut rules = vec![json!({ "ports": [{ "port": 53, "protocol": "UDP" }, tcp(53)] })];
    if let Some(store) = &spec.object_store {
        let port = store.endpoint.as_deref().map_or(443, |endpoint| port(endpoint, None));
        rules.push(json!({ "ports": [tcp(port)] }));
        if store.credentials_secret_ref.is_none() {
            // From the cloud's metadata service, or by a token that is exchanged over HTTPS.
            rules.push(json!({ "to": [{ "ipBlock": { "cidr": METADATA_SERVICE } }], "ports": [tcp(80)] }));
            rules.extend((port != 443).then(|| json!({ "ports": [tcp(443)] })));
        }
    }
    let spans = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    for variable in spec.pod_template.env.iter().filter(|variable| spans.contains(&variable.name.as_str())) {
        rules.push(json!({ "ports": [tcp(port(&variable.value, Some(OTLP_PORT)))] }));
    }
    rules
}

/// The port of a URL; without one in it, what its scheme means, or `usual`.
fn port(url: &str, usual: Option<u16>) -> u16 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let written = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    written.or(usual).unwrap_or(if scheme == "http" { 80 } else { 443 })
}
