//! Names that both sides must agree on: objects, labels, ports, mount paths.

/// API group of every kind of this project.
pub const GROUP: &str = "mediaorigin.io";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of a [`crate::document::MediaOriginDocument`].
pub const API_VERSION: &str = "mediaorigin.io/v1alpha1";
/// The one kind.
pub const KIND: &str = "MediaOrigin";
/// Kind of the document that the operator writes and an origin reads.
pub const CONFIG_KIND: &str = "OriginConfig";

/// Longest `metadata.name`: child names add a suffix and must stay labels (63 characters).
pub const NAME_LENGTH_MAX: usize = 52;

/// Port for media: PUT, GET, HEAD, DELETE.
pub const MEDIA_PORT: u16 = 8080;
/// Port for probes, metrics and status.
pub const ADMIN_PORT: u16 = 8081;
/// Port at which pods of a fleet fetch from each other.
pub const PEER_PORT: u16 = 8082;
/// Name of the media port on pods and Services.
pub const MEDIA_PORT_NAME: &str = "media";
/// Name of the admin port on pods.
pub const ADMIN_PORT_NAME: &str = "admin";
/// Name of the port for other pods of the fleet on pods.
pub const PEER_PORT_NAME: &str = "peer";

/// Where the `ConfigMap` is mounted in an origin's pod.
pub const CONFIG_DIR: &str = "/etc/mediaorigin";
/// The key in the `ConfigMap`, and so the file in [`CONFIG_DIR`].
pub const CONFIG_FILE: &str = "origin.yaml";
/// Where the publishers' Secret is mounted.
pub const PUBLISHER_DIR: &str = "/etc/mediaorigin-publisher";
/// Where the disk of `spec.disk` is mounted in an origin's pod.
pub const DISK_MOUNT: &str = "/var/lib/mediaorigin";
/// The origin's folder on the disk. Not the disk's root, where a file system may have folders of its own (`lost+found`).
pub const DISK_DIR: &str = "/var/lib/mediaorigin/objects";
/// Where the Secret of `spec.objectStore` is mounted; its keys are the file names.
pub const OBJECT_STORE_DIR: &str = "/etc/mediaorigin-object-store";
/// Where the certificate of the media port is mounted, with the authorities of its clients.
pub const TLS_DIR: &str = "/etc/mediaorigin-tls";
/// Where the Secret of `spec.coordination` is mounted, with `username` and `password`.
pub const NATS_DIR: &str = "/etc/mediaorigin-nats";
/// The authorities in a Secret (PEM), as cert-manager calls them, and so the file's name.
pub const CA_FILE: &str = "ca.crt";

/// Where the Secret with the token of the admin port is mounted.
pub const ADMIN_SECRET_DIR: &str = "/etc/mediaorigin-admin";
/// The key of the token in that Secret, and so the file's name.
pub const ADMIN_TOKEN: &str = "token";

/// Standard labels, see the Kubernetes recommended labels.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// The `MediaOrigin`'s name.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// The part that the object plays.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Who manages the object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`LABEL_NAME`] on all children.
pub const APP_NAME: &str = "mediaorigin";
/// Value of [`LABEL_COMPONENT`] on an origin's children.
pub const COMPONENT_ORIGIN: &str = "origin";
/// Value of [`LABEL_MANAGED_BY`] on all children, and the operator's field manager.
pub const MANAGER: &str = "mediaorigin-operator";
/// In the pod template: the cold configuration as JSON. A pod that is restarted while a newer configuration is being rolled
/// out must start with the one that it was made for, not with what the mounted file says by then.
pub const ENV_COLD: &str = "MEDIAORIGIN_COLD";
/// In the pods of a fleet: the name by which others tell this one from themselves.
pub const ENV_POD_NAME: &str = "POD_NAME";
/// In the pods of a fleet: the address at which others reach this one.
pub const ENV_POD_IP: &str = "POD_IP";
/// In the pods of a fleet: the node that this one is on.
pub const ENV_NODE_NAME: &str = "NODE_NAME";
/// In the pods of a fleet: the zone of their node, as Kubernetes labels pods with it since 1.35; empty before, and where nodes have none.
pub const ENV_ZONE: &str = "NODE_ZONE";
/// Of a Deployment: a hash of its pod template, but for the memory.
pub const ANNOTATION_TEMPLATE_HASH: &str = "mediaorigin.io/template-hash";

/// Of a Deployment: the memory limit of its pod template, which stays when pods are resized in place.
pub const ANNOTATION_TEMPLATE_MEMORY: &str = "mediaorigin.io/template-memory";

/// On the pod template: a hash of the cold configuration, so that a cold edit rolls the pods and a hot one does not.
pub const ANNOTATION_COLD_HASH: &str = "mediaorigin.io/cold-config-hash";
/// On a `MediaOrigin`: another value than before renews the publisher's Secret that the operator made.
pub const ANNOTATION_RENEW_PUBLISHER: &str = "mediaorigin.io/renew-publisher";
/// On that Secret: the value of [`ANNOTATION_RENEW_PUBLISHER`] that was carried out last.
pub const ANNOTATION_RENEWED: &str = "mediaorigin.io/renewed";
/// On that Secret: until when the credentials before are valid (RFC 3339).
pub const ANNOTATION_PREVIOUS_UNTIL: &str = "mediaorigin.io/previous-until";
/// On a Secret that the operator made: when its values were written last (RFC 3339).
pub const ANNOTATION_WRITTEN_AT: &str = "mediaorigin.io/written-at";
/// On a Secret that the operator copied: which version of the other one it is a copy of.
pub const ANNOTATION_COPIED: &str = "mediaorigin.io/copied";
/// On pods: which writing of such Secrets they were told of; a changed annotation makes the kubelet refresh the mounted files at once.
pub const ANNOTATION_SECRETS_WRITTEN_AT: &str = "mediaorigin.io/secrets-written-at";
/// On a `MediaOrigin`: [`PAUSED`] does what `spec.reconciliation: Paused` does.
pub const ANNOTATION_RECONCILIATION: &str = "mediaorigin.io/reconciliation";
/// Value of [`ANNOTATION_RECONCILIATION`].
pub const PAUSED: &str = "paused";
/// On pods: the generation of the hot configuration; a changed annotation makes the kubelet refresh the mounted file at once.
pub const ANNOTATION_HOT_GENERATION: &str = "mediaorigin.io/hot-config-generation";
