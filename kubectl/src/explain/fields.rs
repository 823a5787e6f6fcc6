//! Which field of the spec a field of a child comes from.

/// Kind of the child, beginning of the path, and the field of the spec; the first that fits counts.
const SOURCES: &[(&str, &str, &str)] = &[
    ("Deployment", "spec.replicas", "spec.replicas"),
    ("Deployment", "spec.strategy", "spec.disk.storageClassName"),
    ("Deployment", "spec.progressDeadlineSeconds", "spec.disk"),
    ("Deployment", "spec.template.metadata.labels", "spec.podTemplate.labels"),
    (
        "Deployment",
        "spec.template.metadata.annotations.mediaorigin.io/",
        "memory, connections, tiers, TLS or publishers of the spec",
    ),
    ("Deployment", "spec.template.metadata.annotations", "spec.podTemplate.annotations"),
    ("Deployment", "spec.template.spec.nodeSelector", "spec.podTemplate.nodeSelector"),
    ("Deployment", "spec.template.spec.tolerations", "spec.podTemplate.tolerations"),
    ("Deployment", "spec.template.spec.imagePullSecrets", "spec.podTemplate.imagePullSecrets"),
    ("Deployment", "spec.template.spec.priorityClassName", "spec.podTemplate.priorityClassName"),
    ("Deployment", "spec.template.spec.securityContext.fsGroupChangePolicy", "spec.disk.storageClassName"),
    ("Deployment", "spec.template.spec.volumes[publisher]", "spec.access.write"),
    ("Deployment", "spec.template.spec.volumes[object-store]", "spec.objectStore.credentialsSecretRef"),
    ("Deployment", "spec.template.spec.volumes[tls]", "spec.service.tls"),
    ("Deployment", "spec.template.spec.volumes[disk]", "spec.disk"),
    (
        "Deployment",
        "spec.template.spec.containers[origin].imagePullPolicy",
        "spec.podTemplate.imagePullPolicy",
    ),
    (
        "Deployment",
        "spec.template.spec.containers[origin].image",
        "spec.podTemplate.image, or the operator's",
    ),
    (
        "Deployment",
        "spec.template.spec.containers[origin].resources.requests.ephemeral-storage",
        "spec.disk.size",
    ),
    ("Deployment", "spec.template.spec.containers[origin].resources.requests.memory", "spec.memory.limit"),
    ("Deployment", "spec.template.spec.containers[origin].resources.limits.memory", "spec.memory.limit"),
    ("Deployment", "spec.template.spec.containers[origin].resources.requests.cpu", "spec.cpu.request"),
    ("Deployment", "spec.template.spec.containers[origin].resources.limits.cpu", "spec.cpu.limit"),
    ("Deployment", "spec.template.spec.containers[origin].startupProbe", "spec.disk"),
    (
        "Deployment",
        "spec.template.spec.containers[origin].volumeMounts[/etc/mediaorigin-publisher]",
        "spec.access.write",
    ),
    (
        "Deployment",
        "spec.template.spec.containers[origin].volumeMounts[/etc/mediaorigin-object-store]",
        "spec.objectStore.credentialsSecretRef",
    ),
    (
        "Deployment",
        "spec.template.spec.containers[origin].volumeMounts[/etc/mediaorigin-tls]",
        "spec.service.tls",
    ),
    ("Deployment", "spec.template.spec.containers[origin].volumeMounts[/var/lib/mediaorigin]", "spec.disk"),
    ("Deployment", "spec.template.spec.containers[origin].env[MEDIAORIGIN_COLD].value: ", ""),
    ("Deployment", "spec.template.spec.containers[origin].env[", "spec.podTemplate.env"),
    ("ConfigMap", "data.origin.yaml: ", ""),
    ("Service", "spec.type", "spec.service.type"),
    ("Service", "spec.ports[media].port", "spec.service.port"),
    ("Service", "spec.ports[media].nodePort", "spec.service.nodePort"),
    ("Service", "spec.ports[media].appProtocol", "spec.service.tls"),
    ("Service", "metadata.annotations", "spec.service.annotations"),
    ("PersistentVolumeClaim", "spec.resources", "spec.disk.size"),
    ("PersistentVolumeClaim", "spec.storageClassName", "spec.disk.storageClassName"),
];

/// The same of the configuration document; cold settings stand there at the root of the pod's own copy.
const SETTINGS: &[(&str, &str)] = &[
    ("memoryLimitBytes", "spec.memory.limit"),
    ("connectionsMax", "spec.limits.connections"),
    ("publisherDir", "spec.access.write"),
    ("disk", "spec.disk"),
    ("objectStore", "spec.objectStore"),
    ("tls", "spec.service.tls"),
    ("tierPolicies", "spec.tierPolicies"),
    ("cors", "spec.access.cors"),
    ("cdnProfile", "spec.cdnProfile"),
    ("objectBytesMax", "spec.limits.objectSize"),
    ("uploadIdleSeconds", "spec.limits.uploadIdleSeconds"),
    ("readAccess", "spec.access.read"),
    ("mediaStore", "spec.compatibility.mediaStore"),
];

/// Where the field of a child of this kind comes from; nothing where it is the operator's own.
pub fn source(kind: &str, path: &str) -> Option<&'static str> {
    let mut fitting = SOURCES.iter().filter(|(of, begin, _)| *of == kind && path.starts_with(begin));
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
