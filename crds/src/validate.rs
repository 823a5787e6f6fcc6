//! Wire → domain. Every problem is returned, each with the path of its field; nothing is accepted half.

pub mod autoscaling;
pub mod coordination;
pub mod cors;
pub mod pods;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod tier;

use std::collections::BTreeSet;

use crate::autoscaling::Autoscaling;
use crate::budget::{Budget, LIMIT_MIN};
use crate::config::{Cold, Hot, OriginConfig, TlsConfig};
use crate::document::Metadata;
use crate::names;
use crate::policy::{Disk, Tiers};
use crate::problem::Problem;
use crate::units::Bytes;
use crate::v1alpha1::{
    CpuSpec, LimitsSpec, MediaOriginSpec, NetworkPolicySpec, ReadAccessSpec, RouteSpec, ServiceSpec,
    ServiceTypeSpec,
};

/// Smallest and largest value of `spec.limits.objectSize`.
pub const OBJECT_SIZE_RANGE: (Bytes, Bytes) = (Bytes(64 * Bytes::KIB), Bytes(4096 * Bytes::MIB));

/// Most pods of an origin.
pub const REPLICAS_MAX: i32 = 100;

/// A spec without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Settings that are part of the pod template.
    pub cold: Cold,
    /// Settings that never are.
    pub hot: Hot,
    /// The memory budget of a pod.
    pub budget: Budget,
    /// Who decides how many pods there are: no part of what a pod is told.
    pub autoscaling: Autoscaling,
}

impl Accepted {
    /// The document for an origin.
    pub fn config(self, metadata: Metadata) -> OriginConfig {
        OriginConfig {
            api_version: names::API_VERSION.to_owned(),
            kind: names::CONFIG_KIND.to_owned(),
            metadata,
            cold: self.cold,
            hot: self.hot,
        }
    }
}

/// Checks a spec as a whole; outside a cluster there may be no namespace.
pub fn validate(
    namespace: Option<&str>,
    name: &str,
    spec: &MediaOriginSpec,
) -> Result<Accepted, Vec<Problem>> {
    let mut problems = Vec::new();
    check_name(name, &mut problems);
    check_range("spec.replicas", spec.replicas, 0, REPLICAS_MAX, &mut problems);
    let coordination = coordination::coordination((namespace, name), spec, &mut problems);
    let memory = memory_limit(&spec.memory.limit, &mut problems);
    let milli_cpu = cpu(&spec.cpu, &mut problems);
    let limits = limits(&spec.limits, &mut problems);
    let pod = autoscaling::Pod { milli_cpu, connections: limits.connections };
    let has_coordination = spec.coordination.is_some();
    let autoscaling =
        autoscaling::autoscaling(spec.autoscaling.as_ref(), has_coordination, pod, &mut problems);
    // Told behind the problems of the fields before it, needed here already.
    let mut problems_of_disk = Vec::new();
    let disk = spec.disk.as_ref().and_then(|disk| storage::disk(disk, &mut problems_of_disk));
    let disk_bytes = disk.as_ref().map(|disk| Bytes(disk.size_bytes));
    let budget = memory.and_then(|memory| match Budget::derive(memory, limits.connections, disk_bytes) {
        Ok(budget) => Some(budget),
        Err(error) => {
            problems.push(Problem::new("spec.memory.limit", error.to_string()));
            None
        }
    });
    if let (Some(budget), Some(object_size)) = (budget, limits.object_size)
        && object_size > budget.objects
        && spec.limits.object_size != LimitsSpec::default().object_size
    {
        let message =
            format!("{object_size} is more than the {} that this origin can hold at all", budget.objects);
        problems.push(Problem::new("spec.limits.objectSize", message));
    }
    problems.append(&mut problems_of_disk);
    let object_store = spec.object_store.as_ref().map(|store| storage::object_store(store, &mut problems));
    let _ = tier::compile("spec.tierPolicies", &spec.tier_policies, tiers(spec), &mut problems);
    let _ = cors::compile("spec.access.cors", &spec.access.cors, &mut problems);
    check_secrets(spec, &mut problems);
    check_service(&spec.service, &mut problems);
    if let Some(route) = &spec.route {
        check_route(route, &mut problems);
    }
    check_network_policy(&spec.network_policy, &mut problems);
    pods::check_labels("spec.monitoring.labels", &spec.monitoring.labels, &mut problems);
    pods::check(&spec.pod_template, &mut problems);
    match budget {
        Some(budget) if problems.is_empty() => {
            let mut accepted = accepted(spec, budget, autoscaling, &limits);
            accepted.cold.disk = disk;
            accepted.cold.object_store = object_store;
            accepted.cold.coordination = coordination;
            Ok(accepted)
        }
        _ => Err(problems),
    }
}

fn accepted(
    spec: &MediaOriginSpec,
    budget: Budget,
    autoscaling: Autoscaling,
    limits: &ParsedLimits,
) -> Accepted {
    let object_size = limits.object_size.unwrap_or(budget.objects).min(budget.objects);
    Accepted {
        cold: Cold {
            connections_max: limits.connections,
            media_port: names::MEDIA_PORT,
            admin_port: names::ADMIN_PORT,
            publisher_dir: spec.access.write.as_ref().map(|_| names::PUBLISHER_DIR.to_owned()),
            disk: None,
            object_store: None,
            coordination: None,
            tls: spec.service.tls.as_ref().map(|tls| TlsConfig {
                dir: names::TLS_DIR.to_owned(),
                requires_client_certificates: tls.client_ca_secret_ref.is_some(),
            }),
        },
        hot: Hot {
            memory_limit_bytes: budget.limit.get(),
            tier_policies: spec.tier_policies.clone(),
            cors: spec.access.cors.clone(),
            cdn_profile: spec.cdn_profile,
            object_bytes_max: object_size.get(),
            upload_idle_seconds: limits.upload_idle_seconds,
            read_access: spec.access.read,
            media_store: spec.compatibility.media_store,
        },
        budget,
        autoscaling,
    }
}

/// What is there, whether or not it is described well: a mistake in its size is no reason to speak of its absence.
fn tiers(spec: &MediaOriginSpec) -> Tiers {
    let disk = match &spec.disk {
        None => Disk::Absent,
        Some(disk) if disk.storage_class_name.is_some() => Disk::Persistent,
        Some(_) => Disk::Cache,
    };
    Tiers { disk, has_object_store: spec.object_store.is_some(), has_log: spec.coordination.is_some() }
}

struct ParsedLimits {
    object_size: Option<Bytes>,
    connections: u32,
    upload_idle_seconds: u32,
}

fn check_name(name: &str, problems: &mut Vec<Problem>) {
    if name.len() > names::NAME_LENGTH_MAX {
        let message =
            format!("the name has {} characters, {} are possible", name.len(), names::NAME_LENGTH_MAX);
        problems.push(Problem::new("metadata.name", message));
    } else if !is_label(name) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        let message = format!(
            "\"{name}\" is not a name: lower-case letters, digits and -, beginning with a letter, e.g. \"live\""
        );
        problems.push(Problem::new("metadata.name", message));
    }
}

pub(crate) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = text.as_bytes();
    !text.is_empty() && bytes.iter().all(|byte| inner(*byte)) && edge(bytes.first()) && edge(bytes.last())
}

fn check_range(field: &str, value: i32, min: i32, max: i32, problems: &mut Vec<Problem>) -> u32 {
    if !(min..=max).contains(&value) {
        problems.push(Problem::new(field, format!("{value} is not between {min} and {max}")));
    }
    u32::try_from(value.clamp(min, max)).unwrap_or(0)
}

fn quantity(field: &str, text: &str, problems: &mut Vec<Problem>) -> Option<Bytes> {
    Bytes::parse(text).map_err(|error| problems.push(Problem::new(field, error.to_string()))).ok()
}

fn memory_limit(text: &str, problems: &mut Vec<Problem>) -> Option<Bytes> {
    let field = "spec.memory.limit";
    let limit = quantity(field, text, problems)?;
    if limit < LIMIT_MIN {
        problems.push(Problem::new(
            field,
            format!("{text} is too little: an origin needs at least {LIMIT_MIN} of memory"),
        ));
        return None;
    }
    Some(limit)
}

/// The CPU of a pod in thousandths of a core: its limit, or its request where there is none.
fn cpu(cpu: &CpuSpec, problems: &mut Vec<Problem>) -> Option<u32> {
    let request = milli_cpu("spec.cpu.request", &cpu.request, problems);
    let Some(text) = &cpu.limit else { return request };
    let limit = milli_cpu("spec.cpu.limit", text, problems);
    if let (Some(request), Some(limit)) = (request, limit)
        && request > limit
    {
        let message = format!("{text} is less than the request of {}", cpu.request);
        problems.push(Problem::new("spec.cpu.limit", message));
    }
    limit
}

fn milli_cpu(field: &str, text: &str, problems: &mut Vec<Problem>) -> Option<u32> {
    let milli = match text.strip_suffix('m') {
        Some(number) => whole(number, 6),
        None => cores(text),
    };
    let milli = milli.filter(|milli| *milli > 0);
    if milli.is_none() {
        problems.push(Problem::new(
            field,
            format!("\"{text}\" is not an amount of CPU: write e.g. \"500m\" or \"2\""),
        ));
    }
    milli
}

/// Whole cores with up to three decimals, in thousandths.
fn cores(text: &str) -> Option<u32> {
    let (cores, fraction) = text.split_once('.').unwrap_or((text, "0"));
    whole(fraction, 3)?;
    let milli: u32 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole(cores, 4)? * 1000 + milli)
}

/// A number of one to `digits_max` digits, without a sign.
fn whole(text: &str, digits_max: usize) -> Option<u32> {
    let is_number = text.len() <= digits_max && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn limits(limits: &LimitsSpec, problems: &mut Vec<Problem>) -> ParsedLimits {
    let field = "spec.limits.objectSize";
    let (min, max) = OBJECT_SIZE_RANGE;
    let object_size = quantity(field, &limits.object_size, problems);
    if let Some(size) = object_size
        && !(min..=max).contains(&size)
    {
        problems.push(Problem::new(field, format!("{size} is not between {min} and {max}")));
    }
    let connections = check_range("spec.limits.connections", limits.connections, 16, 100_000, problems);
    let idle = check_range("spec.limits.uploadIdleSeconds", limits.upload_idle_seconds, 5, 3_600, problems);
    ParsedLimits { object_size, connections, upload_idle_seconds: idle }
}

fn check_secrets(spec: &MediaOriginSpec, problems: &mut Vec<Problem>) {
    let write = spec.access.write.as_ref().and_then(|write| write.secret_ref.as_ref());
    let tls = spec.service.tls.as_ref();
    let named = [
        ("spec.access.write.secretRef", write),
        ("spec.service.tls.secretRef", tls.map(|tls| &tls.secret_ref)),
        ("spec.service.tls.clientCASecretRef", tls.and_then(|tls| tls.client_ca_secret_ref.as_ref())),
    ];
    for (field, secret) in named {
        let Some(secret) = secret.filter(|secret| !is_object_name(&secret.name)) else { continue };
        let message = format!("\"{}\" is not the name of a Secret", secret.name);
        problems.push(Problem::new(format!("{field}.name"), message));
    }
    if let Some(write) = &spec.access.write {
        check_range("spec.access.write.overlapSeconds", write.overlap_seconds, 0, 2_592_000, problems);
    }
    if spec.access.read != ReadAccessSpec::Public && spec.access.write.is_none() {
        let message = "readers are checked against the Secret of access.write: name one";
        problems.push(Problem::new("spec.access.read", message));
    }
}

fn check_network_policy(policy: &NetworkPolicySpec, problems: &mut Vec<Problem>) {
    let field = "spec.networkPolicy.adminNamespaces";
    check_count(field, policy.admin_namespaces.len(), 16, problems);
    let mut seen = BTreeSet::new();
    for (index, namespace) in policy.admin_namespaces.iter().enumerate() {
        let message = if !is_label(namespace) || namespace.len() > 63 {
            format!("\"{namespace}\" is not the name of a namespace")
        } else if seen.insert(namespace) {
            continue;
        } else {
            format!("\"{namespace}\" is named twice")
        };
        problems.push(Problem::new(format!("{field}[{index}]"), message));
    }
}

fn check_route(route: &RouteSpec, problems: &mut Vec<Problem>) {
    let count = route.parent_refs.len();
    if !(1..=8).contains(&count) {
        problems
            .push(Problem::new("spec.route.parentRefs", format!("{count} gateways, 1 to 8 are possible")));
    }
    for (index, parent) in route.parent_refs.iter().enumerate() {
        let field = format!("spec.route.parentRefs[{index}]");
        let mut check = |key: &str, text: &str, is_good: bool| {
            if !is_good {
                problems.push(Problem::new(format!("{field}.{key}"), format!("\"{text}\" is not a name")));
            }
        };
        check("name", &parent.name, is_object_name(&parent.name));
        let namespace = parent.namespace.as_deref().unwrap_or("x");
        check("namespace", namespace, is_label(namespace) && namespace.len() <= 63);
        let section = parent.section_name.as_deref().unwrap_or("x");
        check("sectionName", section, is_object_name(section));
    }
    check_count("spec.route.hostnames", route.hostnames.len(), 16, problems);
    let mut seen = BTreeSet::new();
    for (index, host) in route.hostnames.iter().enumerate() {
        let message = if !is_object_name(host.strip_prefix("*.").unwrap_or(host)) || host.len() > 253 {
            format!("\"{host}\" is not a host name: write e.g. \"live.example.com\" or \"*.example.com\"")
        } else if seen.insert(host) {
            continue;
        } else {
            format!("\"{host}\" is named twice")
        };
        problems.push(Problem::new(format!("spec.route.hostnames[{index}]"), message));
    }
}

fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn check_count(at: &str, count: usize, max: usize, problems: &mut Vec<Problem>) {
    if count > max {
        problems.push(Problem::new(at, format!("{count} entries, {max} are possible")));
    }
}

/// What appears again in a list that is a set.
fn check_unique<T: Ord>(at: &str, list: &[T], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (index, _) in list.iter().enumerate().filter(|(_, entry)| !seen.insert(*entry)) {
        problems.push(Problem::new(format!("{at}[{index}]"), "appears twice: remove one"));
    }
}

fn check_service(service: &ServiceSpec, problems: &mut Vec<Problem>) {
    check_range("spec.service.port", service.port, 1, 65_535, problems);
    pods::check_annotations("spec.service.annotations", &service.annotations, problems);
    let Some(port) = service.node_port else { return };
    check_range("spec.service.nodePort", port, 1, 65_535, problems);
    if service.kind == ServiceTypeSpec::ClusterIP {
        let message = "nodePort needs type NodePort or LoadBalancer: write one of them, or remove nodePort";
        problems.push(Problem::new("spec.service.nodePort", message));
    }
}
