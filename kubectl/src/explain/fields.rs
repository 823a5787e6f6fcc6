//! Which field of the spec a field of a child comes from.

use mediaorigin_operator::part::Part;

/// The child, the beginning of the path, and the field of the spec; the first that fits counts.
const SOURCES: &[(Part, &str, &str)] = &[
    (Part::Deployment, "spec.replicas", "spec.replicas"),
    (Part::Deployment, "metadata.annotations.mediaorigin.io/template-memory", "spec.memory.limit"),
    (
        Part::Deployment,
        "metadata.annotations.mediaorigin.io/template-hash",
        "whatever replaces pods, of the spec",
    ),
    (Part::Headroom, "spec.replicas", "spec.autoscaling.headroom.replicas"),
    (Part::Headroom, "spec.template.spec.priorityClassName", "spec.autoscaling.headroom.priorityClassName"),
    (Part::Headroom, "spec.template.spec.containers[idle].resources.limits.memory", "spec.memory.limit"),
    (Part::Headroom, "spec.template.spec.containers[idle].resources.requests.memory", "spec.memory.limit"),
    (Part::Headroom, "spec.template.spec.containers[idle].resources.requests.cpu", "spec.cpu.request"),
    (Part::Deployment, "spec.strategy", "spec.disk.storageClassName"),
    (Part::Deployment, "spec.progressDeadlineSeconds", "spec.disk"),
    (Part::Deployment, "spec.template.metadata.labels", "spec.podTemplate.labels"),
    (
        Part::Deployment,
        "spec.template.metadata.annotations.mediaorigin.io/",
        "connections, tiers, coordination, TLS or publishers of the spec",
    ),
    (Part::Deployment, "spec.template.metadata.annotations", "spec.podTemplate.annotations"),
    (Part::Deployment, "spec.template.spec.nodeSelector", "spec.podTemplate.nodeSelector"),
    (Part::Deployment, "spec.template.spec.tolerations", "spec.podTemplate.tolerations"),
    (Part::Deployment, "spec.template.spec.imagePullSecrets", "spec.podTemplate.imagePullSecrets"),
    (Part::Deployment, "spec.template.spec.priorityClassName", "spec.podTemplate.priorityClassName"),
    (
        Part::Deployment,
        "spec.template.spec.securityContext.fsGroupChangePolicy",
        "spec.disk.storageClassName",
    ),
    (Part::Deployment, "spec.template.spec.volumes[publisher]", "spec.access.write"),
    (Part::Deployment, "spec.template.spec.volumes[object-store]", "spec.objectStore.credentialsSecretRef"),
    (Part::Deployment, "spec.template.spec.volumes[nats]", "spec.coordination.nats"),
    (Part::Deployment, "spec.template.spec.volumes[tls]", "spec.service.tls"),
    (Part::Deployment, "spec.template.spec.volumes[disk]", "spec.disk"),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].imagePullPolicy",
        "spec.podTemplate.imagePullPolicy",
    ),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].image",
        "spec.podTemplate.image, or the operator's",
    ),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].resources.requests.ephemeral-storage",
        "spec.disk.size",
    ),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].resources.requests.memory",
        "spec.memory.limit",
    ),
    (Part::Deployment, "spec.template.spec.containers[origin].resources.limits.memory", "spec.memory.limit"),
    (Part::Deployment, "spec.template.spec.containers[origin].resources.requests.cpu", "spec.cpu.request"),
    (Part::Deployment, "spec.template.spec.containers[origin].resources.limits.cpu", "spec.cpu.limit"),
    (Part::Deployment, "spec.template.spec.containers[origin].startupProbe", "spec.disk"),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].volumeMounts[/etc/mediaorigin-publisher]",
        "spec.access.write",
    ),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].volumeMounts[/etc/mediaorigin-object-store]",
        "spec.objectStore.credentialsSecretRef",
    ),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].volumeMounts[/etc/mediaorigin-nats]",
        "spec.coordination.nats",
    ),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].volumeMounts[/etc/mediaorigin-tls]",
        "spec.service.tls",
    ),
    (
        Part::Deployment,
        "spec.template.spec.containers[origin].volumeMounts[/var/lib/mediaorigin]",
        "spec.disk",
    ),
    (Part::Deployment, "spec.template.spec.containers[origin].env[MEDIAORIGIN_COLD].value: ", ""),
    (Part::Deployment, "spec.template.spec.containers[origin].env[POD_NAME]", "spec.coordination"),
    (Part::Deployment, "spec.template.spec.containers[origin].env[POD_IP]", "spec.coordination"),
    (Part::Deployment, "spec.template.spec.containers[origin].env[NODE_NAME]", "spec.coordination"),
    (Part::Deployment, "spec.template.spec.containers[origin].env[NODE_ZONE]", "spec.coordination"),
    (Part::Deployment, "spec.template.spec.containers[origin].env[", "spec.podTemplate.env"),
    (Part::Deployment, "spec.template.spec.containers[origin].ports", "spec.coordination"),
    (Part::ConfigMap, "data.origin.yaml: ", ""),
    (Part::NetworkPolicy, "spec.egress", "spec.objectStore, spec.coordination or spec.podTemplate.env"),
    (Part::NetworkPolicy, "spec.ingress", "spec.networkPolicy or spec.coordination"),
    (Part::NetworkPolicy, "", "spec.networkPolicy"),
    (Part::PodDisruptionBudget, "", "spec.replicas"),
    (Part::HttpRoute, "spec.rules", "spec.service.port"),
    (Part::HttpRoute, "spec", "spec.route"),
    (Part::PodMonitor, "metadata.labels", "spec.monitoring.labels"),
    (Part::PodMonitor, "", "spec.monitoring"),
    (Part::Service, "spec.type", "spec.service.type"),
    (Part::Service, "spec.ports[media].port", "spec.service.port"),
    (Part::Service, "spec.ports[media].nodePort", "spec.service.nodePort"),
    (Part::Service, "spec.ports[media].appProtocol", "spec.service.tls"),
    (Part::Service, "metadata.annotations", "spec.service.annotations"),
    (Part::PersistentVolumeClaim, "spec.resources", "spec.disk.size"),
    (Part::PersistentVolumeClaim, "spec.storageClassName", "spec.disk.storageClassName"),
];

/// The same of the configuration document; cold settings stand there at the root of the pod's own copy.
const SETTINGS: &[(&str, &str)] = &[
    ("memoryLimitBytes", "spec.memory.limit"),
    ("connectionsMax", "spec.limits.connections"),
    ("publisherDir", "spec.access.write"),
    ("disk", "spec.disk"),
    ("objectStore", "spec.objectStore"),
    ("coordination", "spec.coordination"),
    ("tls", "spec.service.tls"),
    ("tierPolicies", "spec.tierPolicies"),
    ("cors", "spec.access.cors"),
    ("cdnProfile", "spec.cdnProfile"),
    ("objectBytesMax", "spec.limits.objectSize"),
    ("uploadIdleSeconds", "spec.limits.uploadIdleSeconds"),
    ("readAccess", "spec.access.read"),
    ("mediaStore", "spec.compatibility.mediaStore"),
];

/// Where the field of a child comes from; nothing where it is the operator's own.
pub fn source(part: Part, path: &str) -> Option<&'static str> {
    let mut fitting = SOURCES.iter().filter(|(of, begin, _)| *of == part && path.starts_with(begin));
    let (_, begin, field) = fitting.next()?;
    if !field.is_empty() {
        return Some(field);
    }
    let setting = path[begin.len()..].trim_start_matches("cold.").trim_start_matches("hot.");
    let mut known = SETTINGS.iter().filter(|(name, _)| {
        setting.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    known.next().map(|(_, field)| *field)
}

#[cfg(test)]
mod tests;
