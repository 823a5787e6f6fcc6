//! The NATS of a fleet: whether it is the chart's own, which Secret the pods show it, and at which ports they reach it.

use mediaorigin_crds::config::Cold;
use mediaorigin_crds::names;
use mediaorigin_crds::problem::Problem;
use mediaorigin_crds::v1alpha1::MediaOriginSpec;
use serde_json::{Value, json};

use super::Settings;
use crate::election::seat::Place;
use crate::part::Part;

/// The port of a server that names none.
const PORT: u16 = 4222;

/// The NATS that the chart runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartNats {
    /// Its address, `nats://NAME.NAMESPACE.svc:4222`.
    pub url: String,
    /// The Secret with the credentials of its clients.
    pub credentials: Place,
    /// The Secret whose `ca.crt` vouches for its servers, where that is another one.
    pub authorities: Option<Place>,
}

/// The chart's NATS where the spec means it and names no Secret: the pods get a copy of its credentials.
pub fn of_chart<'a>(
    settings: &'a Settings,
    namespace: &str,
    spec: &MediaOriginSpec,
) -> Option<&'a ChartNats> {
    let wanted = &spec.coordination.as_ref()?.nats;
    let chart = settings.nats.as_ref().filter(|_| wanted.credentials_secret_ref.is_none())?;
    let is_chart = |server: &str| names_chart(&chart.url, server, namespace);
    wanted.url.split(',').all(is_chart).then_some(chart)
}

/// Whether a pod of `namespace` that asks for `server` gets to `chart`: `NAME.NAMESPACE.svc` and its longer and shorter forms.
fn names_chart(chart: &str, server: &str, namespace: &str) -> bool {
    let (Some((host, port)), Some((asked, asked_port))) = (address(chart), address(server)) else {
        return false;
    };
    let mut labels = host.split('.');
    let (name, home) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    let asked =
        asked.strip_suffix(".svc.cluster.local").or_else(|| asked.strip_suffix(".svc")).unwrap_or(asked);
    let is_name = asked == format!("{name}.{home}") || (asked == name && namespace == home);
    is_name && port == asked_port
}

/// Host and port.
fn address(server: &str) -> Option<(&str, u16)> {
    let (_, rest) = server.split_once("://")?;
    // What is behind a colon within brackets is no port.
    match rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((rest, PORT)),
    }
}

/// The ports of the servers, each once.
pub fn ports(spec: &MediaOriginSpec) -> Vec<u16> {
    let url = spec.coordination.as_ref().map(|coordination| coordination.nats.url.as_str());
    let mut ports: Vec<u16> =
        url.iter().flat_map(|url| url.split(',')).filter_map(address).map(|(_, port)| port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The Secret that the pods mount: the one that the spec names, or the copy.
pub fn secret(origin: &str, spec: &MediaOriginSpec, cold: &Cold) -> Option<String> {
    cold.coordination.as_ref()?.credentials_dir.as_ref()?;
    let named = spec.coordination.as_ref()?.nats.credentials_secret_ref.as_ref();
    Some(named.map_or_else(|| Part::NatsSecret.name(origin), |secret| secret.name.clone()))
}

/// The key of TLS between pods is made of a password that others do not know.
pub fn check(cold: &Cold) -> Result<(), Problem> {
    match &cold.coordination {
        Some(coordination) if coordination.peer_tls && coordination.credentials_dir.is_none() => {
            let message = "Enabled needs a password, of which the pods make their key: name a Secret with one in \
                           spec.coordination.nats.credentialsSecretRef, or write Disabled";
            Err(Problem::new("spec.coordination.peers.tls", message))
        }
        _ => Ok(()),
    }
}

/// What a pod of a fleet is told about itself.
pub fn environment() -> Vec<Value> {
    let variable =
        |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    vec![
        variable(names::ENV_POD_NAME, "metadata.name"),
        variable(names::ENV_POD_IP, "status.podIP"),
        variable(names::ENV_NODE_NAME, "spec.nodeName"),
        variable(names::ENV_ZONE, "metadata.labels['topology.kubernetes.io/zone']"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_known_by_every_name_of_its_service() {
        let chart = "nats://mediaorigin-nats.mediaorigin-system.svc:4222";
        for server in [
            chart,
            "nats://mediaorigin-nats.mediaorigin-system",
            "nats://mediaorigin-nats.mediaorigin-system:4222",
            "tls://mediaorigin-nats.mediaorigin-system.svc.cluster.local:4222",
        ] {
            assert!(names_chart(chart, server, "media"), "{server}");
        }
        for server in [
            "nats://mediaorigin-nats",
            "nats://mediaorigin-nats.media",
            "nats://mediaorigin-nats.mediaorigin-system:4223",
            "nats://mediaorigin-nats.mediaorigin-system.svc.example.com:4222",
            "nats://nats.mediaorigin-nats.mediaorigin-system.svc",
            "nats://[::1]:4222",
            "nats://[::1]",
            "nonsense",
        ] {
            assert!(!names_chart(chart, server, "media"), "{server}");
        }
        assert!(names_chart(chart, "nats://mediaorigin-nats", "mediaorigin-system"));
    }

    #[test]
    fn a_server_without_a_port_has_the_usual_one() {
        let of = |server| address(server).map(|(_, port)| port);
        assert_eq!(of("nats://a"), Some(4222));
        assert_eq!(of("nats://[::1]"), Some(4222));
        assert_eq!(of("tls://[::1]:4223"), Some(4223));
    }
}
