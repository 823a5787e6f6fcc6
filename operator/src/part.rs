//! The objects that make up an origin, each with its kind and its name.

use std::fmt;

/// A child, in the order in which children are applied: what a pod mounts comes before the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Identity of the pods; it may do nothing.
    ServiceAccount,
    /// The token with which the operator speaks to the admin port of the pods.
    AdminSecret,
    /// Credentials for encoders, where the spec names none of its own.
    PublisherSecret,
    /// A copy of the credentials of the chart's NATS, where a fleet uses that.
    NatsSecret,
    /// The configuration that the pods mount.
    ConfigMap,
    /// The address in front of the pods.
    Service,
    /// The addresses of the pods themselves, ready or not.
    PodsService,
    /// Who may reach the pods, and whom they may reach.
    NetworkPolicy,
    /// How many pods an eviction leaves.
    PodDisruptionBudget,
    /// The way from a gateway to the Service (Gateway API).
    HttpRoute,
    /// How Prometheus scrapes the pods (Prometheus' operator).
    PodMonitor,
    /// The volume of a disk that outlives the pods.
    PersistentVolumeClaim,
    /// The pods.
    Deployment,
    /// Pods that keep room on the nodes for more of them.
    Headroom,
}

/// What Kubernetes calls a kind of object.
struct Resource {
    kind: &'static str,
    group: &'static str,
    plural: &'static str,
}

impl Part {
    /// Every part, in the order of application.
    pub const ALL: [Self; 14] = [
        Self::ServiceAccount,
        Self::AdminSecret,
        Self::PublisherSecret,
        Self::NatsSecret,
        Self::ConfigMap,
        Self::Service,
        Self::PodsService,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::HttpRoute,
        Self::PodMonitor,
        Self::PersistentVolumeClaim,
        Self::Deployment,
        Self::Headroom,
    ];

    const fn resource(self) -> Resource {
        let (kind, group, plural) = match self {
            Self::ServiceAccount => ("ServiceAccount", "", "serviceaccounts"),
            Self::AdminSecret | Self::PublisherSecret | Self::NatsSecret => ("Secret", "", "secrets"),
            Self::ConfigMap => ("ConfigMap", "", "configmaps"),
            Self::Service | Self::PodsService => ("Service", "", "services"),
            Self::NetworkPolicy => ("NetworkPolicy", "networking.k8s.io", "networkpolicies"),
            Self::PodDisruptionBudget => ("PodDisruptionBudget", "policy", "poddisruptionbudgets"),
            Self::HttpRoute => ("HTTPRoute", "gateway.networking.k8s.io", "httproutes"),
            Self::PodMonitor => ("PodMonitor", "monitoring.coreos.com", "podmonitors"),
            Self::PersistentVolumeClaim => ("PersistentVolumeClaim", "", "persistentvolumeclaims"),
            Self::Deployment | Self::Headroom => ("Deployment", "apps", "deployments"),
        };
        Resource { kind, group, plural }
    }

    /// `Deployment`.
    pub const fn kind(self) -> &'static str {
        self.resource().kind
    }

    /// The API group, empty for the core.
    pub const fn group(self) -> &'static str {
        self.resource().group
    }

    /// The resource in URLs: `deployments`.
    pub const fn plural(self) -> &'static str {
        self.resource().plural
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => "v1".to_owned(),
            group => format!("{group}/v1"),
        }
    }

    /// What comes behind the origin's name in the child's: two children of a kind cannot both have it alone.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::AdminSecret => "-admin",
            Self::PublisherSecret => "-publisher",
            Self::NatsSecret => "-nats",
            Self::PodsService => "-pods",
            Self::Headroom => "-headroom",
            _ => "",
        }
    }

    /// The child's name.
    pub fn name(self, origin: &str) -> String {
        format!("{origin}{}", self.suffix())
    }

    /// Its values are secrets: they are made where they are written, and nothing prints them.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::AdminSecret | Self::PublisherSecret | Self::NatsSecret)
    }

    /// Whether it is deleted when the spec does not ask for it any more. What people rely on, or cannot get back, stays until the
    /// origin goes: volumes and credentials.
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::NetworkPolicy | Self::PodDisruptionBudget) || self.is_of_others()
    }

    /// Its kind is not one of Kubernetes' own: a cluster may do without.
    pub const fn is_of_others(self) -> bool {
        matches!(self, Self::HttpRoute | Self::PodMonitor)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.suffix() {
            "" => out.write_str(self.kind()),
            suffix => write!(out, "{} …{suffix}", self.kind()),
        }
    }
}
