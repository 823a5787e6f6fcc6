//! Rules of the definition about an edit. Specs are YAML.

/// The message of a rule, the spec before, the spec after, and the field that is named where it is refused.
pub(super) const EDITS: &[(&str, &str, &str, Option<&str>)] = &[
    (CLASS, "{disk: {size: 2Gi, storageClassName: a}}", "{disk: {size: 1Gi, storageClassName: a}}", None),
    (
        CLASS,
        "{disk: {size: 1Gi, storageClassName: a}}",
        "{disk: {size: 1Gi, storageClassName: b}}",
        Some("spec.disk.storageClassName"),
    ),
    (
        CLASS,
        "{disk: {size: 1Gi, storageClassName: a}}",
        "{replicas: 0, disk: {size: 1Gi, storageClassName: b}}",
        None,
    ),
    (CLASS, "{disk: {size: 1Gi}}", "{disk: {size: 1Gi, storageClassName: b}}", None),
    (CLASS, "{disk: {size: 1Gi, storageClassName: a}}", "{}", None),
    (
        PARTITIONS,
        "{coordination: {nats: {url: 'nats://a', partitions: 4}}}",
        "{coordination: {nats: {url: 'nats://b', partitions: 4}}}",
        None,
    ),
    (
        PARTITIONS,
        "{coordination: {nats: {url: 'nats://a'}}}",
        "{coordination: {nats: {url: 'nats://a', partitions: 4}}}",
        Some("spec.coordination.nats.partitions"),
    ),
    (PARTITIONS, "{}", "{coordination: {nats: {url: 'nats://a', partitions: 4}}}", None),
];

const CLASS: &str = "the class of a volume cannot be changed: write the one before; for another class write replicas 0, then the class, and delete \
                     the PersistentVolumeClaim with everything on it";

const PARTITIONS: &str = "a log keeps its partitions: write as many as before; for another number make an origin with another name";
