//! The Deployment: one container under the *restricted* pod security profile with a read-only root.
//!
//! The pod template depends on cold settings only; a hot edit never changes it (property test). The origin drains by itself on
//! SIGTERM, so there is no `preStop`.

use std::collections::BTreeMap;

use mediaorigin_crds::config::{Cold, CoordinationConfig, DiskConfig, ObjectStoreConfig, TlsConfig};
use mediaorigin_crds::names;
use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::{
    ImagePullPolicySpec, MediaOriginSpec, PodTemplateSpec, SecretRefSpec, TaintEffectSpec, TlsSpec,
    TolerationOperatorSpec, TolerationSpec,
};
use mediaorigin_crds::validate::Accepted;
use serde_json::{Map, Value, json};

use super::credentials::publisher_secret;
use super::{Child, Settings, coordination, memory, selector_map, stable_hash};
use crate::observed::Observed;
use crate::part::Part;

/// The name of the one container.
pub const CONTAINER: &str = "origin";
/// Nobody: the user and group of the process.
pub(super) const USER: i64 = 65_532;
/// Read by owner and group.
const SECRET_MODE: i32 = 0o440;
/// The origin's drain (at most 45 s) and some reserve.
const GRACE_SECONDS: i64 = 60;
/// After which a rollout that does not move on is reported as stalled.
const PROGRESS_DEADLINE_SECONDS: i32 = 300;
/// The same with a disk: first the pod before it drains (up to [`GRACE_SECONDS`]) and its volume moves to another node, then the
/// files of the disk are counted.
const DISK_PROGRESS_DEADLINE_SECONDS: i32 = 900;
/// Failures of the start's probe, one a second, after which the process is up and has read its configuration: a minute is far
/// beyond what that takes.
const START_FAILURES: i32 = 60;
/// The same with a disk, whose lock the pod before may hold for [`GRACE_SECONDS`], and whose files are counted first.
const DISK_START_FAILURES: i32 = 600;

/// The Deployment of an origin. Its template has the memory limit that its pods were made with ([`memory`]).
pub fn deployment(
    settings: &Settings,
    observed: &Observed,
    spec: &MediaOriginSpec,
    accepted: &Accepted,
) -> Child {
    let cold = &accepted.cold;
    let template = |memory: &str| template(settings, &observed.name, (spec, memory), cold);
    let hash = stable_hash(&template("").to_string());
    let memory = memory::of_template(observed, spec.memory.resize, accepted.budget.limit, &hash).to_string();
    let annotations = [
        (names::ANNOTATION_TEMPLATE_HASH.to_owned(), json!(hash)),
        (names::ANNOTATION_TEMPLATE_MEMORY.to_owned(), json!(memory)),
    ];
    let rest = json!({
        "spec": {
            "replicas": spec.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": if spec.disk.is_some() { DISK_PROGRESS_DEADLINE_SECONDS } else { PROGRESS_DEADLINE_SECONDS },
            "selector": { "matchLabels": selector_map(&observed.name) },
            "strategy": strategy(spec),
            "template": template(&memory),
        },
    });
    Child::new(Part::Deployment, observed, &Map::from_iter(annotations), rest)
}

fn is_persistent(spec: &MediaOriginSpec) -> bool {
    spec.disk.as_ref().is_some_and(|disk| disk.storage_class_name.is_some())
}

/// A new pod serves before an old one goes. Not where they share a volume: it is on one node at a time, so a new pod on another
/// one would wait for the old one to go, and the old one for the new one to serve.
fn strategy(spec: &MediaOriginSpec) -> Value {
    if is_persistent(spec) {
        json!({ "type": "Recreate" })
    } else {
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } })
    }
}

fn template(settings: &Settings, name: &str, (spec, memory): (&MediaOriginSpec, &str), cold: &Cold) -> Value {
    let wanted = &spec.pod_template;
    let mut labels = strings(&wanted.labels);
    labels.extend(selector_map(name));
    labels.insert(names::LABEL_MANAGED_BY.to_owned(), json!(names::MANAGER));
    let mut annotations = strings(&wanted.annotations);
    annotations.insert(names::ANNOTATION_COLD_HASH.to_owned(), json!(cold_hash(cold)));
    let mut pod = json!({
        "serviceAccountName": name,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            // Volumes belong to the group, so that the process can write to its disk.
            "fsGroup": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "topologySpreadConstraints": [spread(name, "topology.kubernetes.io/zone"), spread(name, "kubernetes.io/hostname")],
        "containers": [container(settings, name, (spec, memory), cold)],
        "volumes": volumes(name, spec, cold),
    });
    if is_persistent(spec) {
        // Otherwise the kubelet goes through all files of the disk at every start.
        pod["securityContext"]["fsGroupChangePolicy"] = json!("OnRootMismatch");
    }
    place(&mut pod, wanted);
    json!({ "metadata": { "labels": labels, "annotations": annotations }, "spec": pod })
}

fn spread(name: &str, topology_key: &str) -> Value {
    json!({
        "maxSkew": 1,
        "topologyKey": topology_key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": selector_map(name) },
    })
}

/// Optional fields are absent where the spec says nothing, so that removing one removes it from the Deployment.
pub(super) fn place(pod: &mut Value, wanted: &PodTemplateSpec) {
    if !wanted.node_selector.is_empty() {
        pod["nodeSelector"] = json!(wanted.node_selector);
    }
    if !wanted.tolerations.is_empty() {
        pod["tolerations"] = wanted.tolerations.iter().map(toleration).collect();
    }
    if !wanted.image_pull_secrets.is_empty() {
        pod["imagePullSecrets"] =
            wanted.image_pull_secrets.iter().map(|secret| json!({ "name": secret.name })).collect();
    }
    if let Some(class) = &wanted.priority_class_name {
        pod["priorityClassName"] = json!(class);
    }
}

fn container(
    settings: &Settings,
    name: &str,
    (spec, memory): (&MediaOriginSpec, &str),
    cold: &Cold,
) -> Value {
    let wanted = &spec.pod_template;
    let port = |name: &str, port: u16| json!({ "name": name, "containerPort": port, "protocol": "TCP" });
    let mut ports = vec![
        port(names::MEDIA_PORT_NAME, names::MEDIA_PORT),
        port(names::ADMIN_PORT_NAME, names::ADMIN_PORT),
    ];
    ports.extend(cold.coordination.as_ref().map(|fleet| port(names::PEER_PORT_NAME, fleet.peer_port)));
    json!({
        "name": CONTAINER,
        "image": image(settings, wanted),
        "imagePullPolicy": pull_policy(wanted),
        "args": [
            "serve", "-f", format!("{}/{}", names::CONFIG_DIR, names::CONFIG_FILE),
            "--admin-token-file", format!("{}/{}", names::ADMIN_SECRET_DIR, names::ADMIN_TOKEN),
        ],
        "ports": ports,
        "resources": resources(spec, memory),
        "securityContext": harmless(),
        // A crash explains itself in the status: the last lines of the log where the process wrote no message.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": probe("/livez", 1, 2, if spec.disk.is_some() { DISK_START_FAILURES } else { START_FAILURES }),
        // It accepts requests. True while it drains, too: a terminating pod is taken out of the Service anyway, and serves on
        // where there is no other (terminating endpoints that are still serving).
        "readinessProbe": probe("/readyz", 1, 2, 2),
        // It answers at all: only a process that hangs is restarted, never one that waits for something else.
        "livenessProbe": probe("/livez", 10, 5, 3),
        "env": environment(spec, cold),
        "volumeMounts": mounts(name, spec, cold),
    })
}

pub(super) fn image<'a>(settings: &'a Settings, wanted: &'a PodTemplateSpec) -> &'a str {
    wanted.image.as_ref().unwrap_or(&settings.origin_image)
}

pub(super) fn pull_policy(wanted: &PodTemplateSpec) -> &'static str {
    match wanted.image_pull_policy {
        ImagePullPolicySpec::Always => "Always",
        ImagePullPolicySpec::IfNotPresent => "IfNotPresent",
        ImagePullPolicySpec::Never => "Never",
    }
}

/// A container that can do nothing to its node.
pub(super) fn harmless() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

/// Ours first, then the user's, which cannot replace ours.
fn environment(spec: &MediaOriginSpec, cold: &Cold) -> Vec<Value> {
    let variable = |name: &str, value: &str| json!({ "name": name, "value": value });
    // A container that restarts starts with the settings of its pod, whatever the mounted file says by then.
    let mut all = vec![variable(names::ENV_COLD, &json!(cold).to_string())];
    if cold.coordination.is_some() {
        all.extend(coordination::environment());
    }
    let is_ours = |name: &str| all.iter().any(|ours| ours["name"] == name);
    let wanted = spec.pod_template.env.iter().filter(|wanted| !is_ours(&wanted.name));
    let wanted: Vec<Value> = wanted.map(|wanted| variable(&wanted.name, &wanted.value)).collect();
    all.extend(wanted);
    all
}

/// A quantity that has been parsed before; printing it exactly keeps `1024Mi` and `1Gi` the same template.
fn exact(quantity: &str) -> String {
    Bytes::parse(quantity).map_or_else(|_| quantity.to_owned(), |bytes| bytes.to_string())
}

pub(super) fn resources(spec: &MediaOriginSpec, memory: &str) -> Value {
    let cpu = &spec.cpu;
    let mut resources = json!({
        "requests": { "memory": memory, "cpu": cpu.request },
        "limits": { "memory": memory },
    });
    if let Some(limit) = &cpu.limit {
        resources["limits"]["cpu"] = json!(limit);
    }
    if let Some(disk) = spec.disk.as_ref().filter(|disk| disk.storage_class_name.is_none()) {
        // The node must have the room, and such a pod is not the first to go when a node's disk fills.
        resources["requests"]["ephemeral-storage"] = json!(exact(&disk.size));
    }
    resources
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Value {
    json!({
        "httpGet": { "path": path, "port": names::ADMIN_PORT_NAME, "scheme": "HTTP" },
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    })
}

fn mounts(name: &str, spec: &MediaOriginSpec, cold: &Cold) -> Value {
    // A directory, not a file by subPath: only a directory is refreshed when the ConfigMap changes.
    let mut mounts = vec![json!({ "name": "config", "mountPath": names::CONFIG_DIR, "readOnly": true })];
    mounts.push(json!({ "name": "admin", "mountPath": names::ADMIN_SECRET_DIR, "readOnly": true }));
    if spec.access.write.is_some() {
        mounts.push(json!({ "name": "publisher", "mountPath": names::PUBLISHER_DIR, "readOnly": true }));
    }
    if credentials(spec).is_some() {
        mounts
            .push(json!({ "name": "object-store", "mountPath": names::OBJECT_STORE_DIR, "readOnly": true }));
    }
    if coordination::secret(name, spec, cold).is_some() {
        mounts.push(json!({ "name": "nats", "mountPath": names::NATS_DIR, "readOnly": true }));
    }
    if spec.service.tls.is_some() {
        mounts.push(json!({ "name": "tls", "mountPath": names::TLS_DIR, "readOnly": true }));
    }
    if spec.disk.is_some() {
        mounts.push(json!({ "name": "disk", "mountPath": names::DISK_MOUNT }));
    }
    json!(mounts)
}

fn volumes(name: &str, spec: &MediaOriginSpec, cold: &Cold) -> Value {
    let mut volumes = vec![json!({ "name": "config", "configMap": { "name": name } })];
    let secret = |name: &str| json!({ "secretName": name, "defaultMode": SECRET_MODE });
    volumes.push(json!({ "name": "admin", "secret": secret(&Part::AdminSecret.name(name)) }));
    if let Some(write) = &spec.access.write {
        volumes.push(json!({ "name": "publisher", "secret": secret(&publisher_secret(name, write)) }));
    }
    if let Some(credentials) = credentials(spec) {
        volumes.push(json!({ "name": "object-store", "secret": secret(&credentials.name) }));
    }
    if let Some(nats) = coordination::secret(name, spec, cold) {
        volumes.push(json!({ "name": "nats", "secret": secret(&nats) }));
    }
    if let Some(tls) = &spec.service.tls {
        volumes.push(json!({ "name": "tls", "projected": certificates(tls) }));
    }
    if let Some(disk) = &spec.disk {
        volumes.push(match disk.storage_class_name {
            Some(_) => json!({ "name": "disk", "persistentVolumeClaim": { "claimName": name } }),
            None => json!({ "name": "disk", "emptyDir": { "sizeLimit": exact(&disk.size) } }),
        });
    }
    json!(volumes)
}

/// The files of two Secrets in one folder, which the kubelet swaps as one. Named one by one: a Secret without one of them is not mounted,
/// and the `ca.crt` that cert-manager puts beside a certificate vouches for no client unless it is asked to.
fn certificates(TlsSpec { secret_ref, client_ca_secret_ref }: &TlsSpec) -> Value {
    let source = |secret: &SecretRefSpec, files: &[&str]| {
        let items: Vec<Value> = files.iter().map(|file| json!({ "key": file, "path": file })).collect();
        json!({ "secret": { "name": secret.name, "items": items } })
    };
    let authorities = client_ca_secret_ref.iter().map(|secret| source(secret, &["ca.crt"]));
    let sources: Vec<Value> =
        std::iter::once(source(secret_ref, &["tls.crt", "tls.key"])).chain(authorities).collect();
    json!({ "sources": sources, "defaultMode": SECRET_MODE })
}

fn credentials(spec: &MediaOriginSpec) -> Option<&SecretRefSpec> {
    spec.object_store.as_ref()?.credentials_secret_ref.as_ref()
}

fn toleration(spec: &TolerationSpec) -> Value {
    let mut toleration = json!({
        "operator": match spec.operator {
            TolerationOperatorSpec::Equal => "Equal",
            TolerationOperatorSpec::Exists => "Exists",
        },
    });
    if let Some(key) = &spec.key {
        toleration["key"] = json!(key);
    }
    if let Some(value) = &spec.value {
        toleration["value"] = json!(value);
    }
    if let Some(effect) = spec.effect {
        toleration["effect"] = json!(match effect {
            TaintEffectSpec::NoSchedule => "NoSchedule",
            TaintEffectSpec::PreferNoSchedule => "PreferNoSchedule",
            TaintEffectSpec::NoExecute => "NoExecute",
        });
    }
    toleration
}

fn strings(map: &BTreeMap<String, String>) -> Map<String, Value> {
    map.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
}

/// Of the cold settings alone, field by field, so that a new field cannot be forgotten and the order of a serialiser does not matter.
fn cold_hash(cold: &Cold) -> String {
    let Cold {
        connections_max,
        media_port,
        admin_port,
        publisher_dir,
        disk,
        object_store,
        tls,
        coordination,
    } = cold;
    let publisher_dir = publisher_dir.as_deref().unwrap_or_default();
    // What is absent leaves no trace: pods that were made before it existed keep their hash, and run on.
    let disk = disk.as_ref().map(|DiskConfig { dir, size_bytes, is_persistent }| {
        format!(" disk {dir} {size_bytes} {is_persistent}")
    });
    let object_store =
        object_store.as_ref().map(|ObjectStoreConfig { url, endpoint, region, credentials_dir }| {
            format!(" object store {:?}", (url, endpoint, region, credentials_dir))
        });
    let tls = tls.as_ref().map(|TlsConfig { dir, requires_client_certificates }| {
        format!(" tls {dir} {requires_client_certificates}")
    });
    let coordination = coordination.as_ref().map(
        |CoordinationConfig {
             servers,
             credentials_dir,
             scope,
             copies,
             partitions,
             log_bytes,
             peer_port,
             peer_tls,
         }| {
            let partitions = if *partitions > 1 { format!(" {partitions}") } else { String::new() };
            let tls = if *peer_tls { " tls" } else { "" };
            format!(
                " coordination{partitions}{tls} {:?}",
                (servers, credentials_dir, scope, copies, log_bytes, peer_port)
            )
        },
    );
    let [disk, object_store, tls, coordination] =
        [disk, object_store, tls, coordination].map(Option::unwrap_or_default);
    stable_hash(&format!(
        "connections {connections_max} media {media_port} admin {admin_port} \
         publisher {publisher_dir}{disk}{object_store}{tls}{coordination}"
    ))
}
