//! Every CEL rule of the definition with what it lets pass and what it refuses. Specs are YAML.

mod autoscaling;

pub(super) use autoscaling::AUTOSCALING;

/// Who can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knows {
    /// The API server and `mediaorigin validate`.
    Both,
    /// The API server alone; why `validate` cannot.
    Server(&'static str),
    /// `validate` alone; why no schema can.
    Validate(&'static str),
}

/// A rule.
pub(super) struct Rule {
    /// Its message, or where only `validate` knows a part of what that says.
    pub(super) message: &'static str,
    /// Who knows it.
    pub(super) knows: Knows,
    /// Specs that pass.
    pub(super) accepts: &'static [&'static str],
    /// Specs that do not, with the field that is named.
    pub(super) refuses: &'static [(&'static str, &'static str)],
}

const fn both(
    message: &'static str,
    accepts: &'static [&'static str],
    refuses: &'static [(&'static str, &'static str)],
) -> Rule {
    Rule { message, knows: Knows::Both, accepts, refuses }
}

const GLOB: &str = "only the library that matches can parse a glob";
/// The rules about one spec; [`AUTOSCALING`] has those of one field of it.
pub(super) const RULES: &[Rule] = &[
    both(
        "more than one pod needs spec.coordination, by which they are one origin: set it, or use 0 or 1",
        &[
            "{replicas: 0}",
            "{replicas: 1}",
            "{replicas: 2, coordination: {nats: {url: 'nats://nats'}}}",
            "{replicas: 100, coordination: {nats: {url: 'nats://nats'}}}",
        ],
        &[
            ("spec.replicas", "{replicas: 2}"),
            ("spec.replicas", "{replicas: 100, objectStore: {url: 's3://b'}}"),
        ],
    ),
    both(
        "the disk of one pod is none of its fleet, and this version does not use it as a cache there: remove disk, or coordination",
        &[
            "{disk: {size: 1Gi}}",
            "{coordination: {nats: {url: 'nats://nats'}}, objectStore: {url: 's3://b'}}",
        ],
        &[
            ("spec.disk", "{coordination: {nats: {url: 'nats://nats'}}, disk: {size: 1Gi}}"),
            (
                "spec.disk",
                "{replicas: 3, coordination: {nats: {url: 'nats://nats'}}, disk: {size: 1Gi, storageClassName: fast}}",
            ),
        ],
    ),
    both(
        "of an even number of copies no more may be lost than of one less: write 1, 3 or 5",
        &[
            "{coordination: {nats: {url: 'nats://nats', copies: 1}}}",
            "{coordination: {nats: {url: 'nats://nats', copies: 5}}}",
        ],
        &[
            ("spec.coordination.nats.copies", "{coordination: {nats: {url: 'nats://nats', copies: 2}}}"),
            ("spec.coordination.nats.copies", "{coordination: {nats: {url: 'nats://nats', copies: 4}}}"),
        ],
    ),
    both(
        "a log below 64Mi holds no stream: write at least 64Mi",
        &["{coordination: {nats: {url: 'nats://nats', walSize: 64Mi}}}"],
        &[("spec.coordination.nats.walSize", "{coordination: {nats: {url: 'nats://nats', walSize: 63Mi}}}")],
    ),
    both(
        "a log of more than 1Ti is none for a while: write at most 1Ti",
        &["{coordination: {nats: {url: 'nats://nats', walSize: 1Ti}}}"],
        &[(
            "spec.coordination.nats.walSize",
            "{coordination: {nats: {url: 'nats://nats', walSize: 1025Gi}}}",
        )],
    ),
    both(
        "an origin needs memory: write at least 128Mi",
        &["{memory: {limit: 128Mi}}", "{memory: {limit: 2Gi}}", "{memory: {limit: 1.5G}}"],
        &[
            ("spec.memory.limit", "{memory: {limit: 127Mi}}"),
            ("spec.memory.limit", "{memory: {limit: '100'}}"),
        ],
    ),
    both(
        "write a whole number of bytes, at most 8192Ti, e.g. 1536Mi",
        &["{memory: {limit: 1.5Gi}}", "{disk: {size: 8192Ti}}", "{limits: {objectSize: 0.25Mi}}"],
        &[
            ("spec.memory.limit", "{memory: {limit: '1073741824.5'}}"),
            ("spec.disk.size", "{disk: {size: 8193Ti}}"),
            ("spec.disk.size", "{disk: {size: 9999999999999999Ti}}"),
            ("spec.limits.objectSize", "{limits: {objectSize: 0.000000001Gi}}"),
        ],
    ),
    both(
        "the memory limit leaves less than 16Mi for objects after 64Ki for each of limits.connections: write a larger memory.limit or \
         fewer limits.connections",
        &[
            "{memory: {limit: 128Mi}, limits: {connections: 1000}}",
            "{memory: {limit: 128Mi}, limits: {connections: 1075}}",
            "{memory: {limit: 128Mi}, disk: {size: 1Gi}, limits: {connections: 972}}",
        ],
        &[
            ("spec.memory.limit", "{memory: {limit: 128Mi}, limits: {connections: 1076}}"),
            ("spec.memory.limit", "{memory: {limit: 128Mi}, disk: {size: 1Gi}, limits: {connections: 974}}"),
            ("spec.memory.limit", "{memory: {limit: 4Gi}, limits: {connections: 100000}}"),
        ],
    ),
    both(
        "more than this origin can hold at all: write a smaller limits.objectSize or a larger memory.limit",
        &[
            "{memory: {limit: 128Mi}, limits: {objectSize: 100Mi}}",
            "{memory: {limit: 256Mi}, limits: {objectSize: 135Mi}}",
        ],
        &[
            ("spec.limits.objectSize", "{memory: {limit: 256Mi}, limits: {objectSize: 136Mi}}"),
            ("spec.limits.objectSize", "{memory: {limit: 128Mi}, limits: {objectSize: 101Mi}}"),
        ],
    ),
    both(
        "an object size limit below 64Ki holds no media: write at least 64Ki",
        &["{limits: {objectSize: 64Ki}}"],
        &[("spec.limits.objectSize", "{limits: {objectSize: 63Ki}}")],
    ),
    both(
        "objects larger than 4Gi are not supported: write at most 4Gi",
        &["{memory: {limit: 8Gi}, limits: {objectSize: 4Gi}}"],
        &[("spec.limits.objectSize", "{memory: {limit: 8Gi}, limits: {objectSize: 4097Mi}}")],
    ),
    both(
        "a pod needs CPU: write e.g. 250m or 2",
        &["{cpu: {request: 1m}}", "{cpu: {request: '0.001'}}", "{cpu: {request: 999999m}}"],
        &[
            ("spec.cpu.request", "{cpu: {request: 0m}}"),
            ("spec.cpu.request", "{cpu: {request: '0.000'}}"),
            ("spec.cpu.limit", "{cpu: {limit: '0'}}"),
        ],
    ),
    both(
        "the limit is less than the request: write at least as much, or leave the limit out",
        &["{cpu: {request: 500m, limit: 500m}}", "{cpu: {request: 1500m, limit: '1.5'}}"],
        &[
            ("spec.cpu.limit", "{cpu: {request: 500m, limit: 499m}}"),
            ("spec.cpu.limit", "{cpu: {limit: 100m}}"),
        ],
    ),
    both(
        "a disk below 64Mi holds no media: write at least 64Mi",
        &["{disk: {size: 64Mi}}"],
        &[("spec.disk.size", "{disk: {size: 63Mi}}")],
    ),
    both(
        "a path glob has no leading slash: write live/** instead of /live/**",
        &["{tierPolicies: [{name: a, match: {paths: ['live/**']}}]}"],
        &[("spec.tierPolicies[0].match.paths[0]", "{tierPolicies: [{name: a, match: {paths: [/live/**]}}]}")],
    ),
    both(
        "a path glob has no empty folder and no ..",
        &["{tierPolicies: [{name: a, match: {paths: ['live/*/a.m3u8', 'a.b']}}]}"],
        &[
            (
                "spec.tierPolicies[0].match.paths[0]",
                "{tierPolicies: [{name: a, match: {paths: [live//a.m3u8]}}]}",
            ),
            (
                "spec.tierPolicies[0].match.paths[1]",
                "{tierPolicies: [{name: a, match: {paths: [a, live/../a]}}]}",
            ),
        ],
    ),
    both(
        "nodePort needs type NodePort or LoadBalancer: write one of them, or remove nodePort",
        &[
            "{service: {type: NodePort, nodePort: 30080}}",
            "{service: {type: LoadBalancer, nodePort: 30080}}",
            "{service: {type: ClusterIP}}",
        ],
        &[
            ("spec.service.nodePort", "{service: {type: ClusterIP, nodePort: 30080}}"),
            ("spec.service.nodePort", "{service: {nodePort: 30080}}"),
        ],
    ),
    both(
        "readers are checked against the Secret of access.write: name one",
        &["{access: {read: Public}}", "{access: {read: SignedUrls, write: {secretRef: {name: a}}}}"],
        &[("spec.access.read", "{access: {read: Authenticated}}")],
    ),
    both(
        "the prefix has no empty folder, no . and no ..: write s3://bucket/folder/folder",
        &["{objectStore: {url: 's3://bucket/a/b/'}}", "{objectStore: {url: 's3://bucket/a..b/.c'}}"],
        &[
            ("spec.objectStore.url", "{objectStore: {url: 's3://bucket/a//b'}}"),
            ("spec.objectStore.url", "{objectStore: {url: 's3://bucket/../b'}}"),
            ("spec.objectStore.url", "{objectStore: {url: 's3://bucket/b/.'}}"),
        ],
    ),
    both(
        "region is for s3:// only: remove it",
        &["{objectStore: {url: 's3://b', region: eu-west-1}}"],
        &[("spec.objectStore.region", "{objectStore: {url: 'gs://b', region: eu}}")],
    ),
    Rule {
        message: "file:// is a folder of one machine, which pods do not share: use s3://, gs:// or az://, or a disk with a storageClassName",
        knows: Knows::Server("outside a cluster, where `mediaorigin` reads the same file, a folder is fine"),
        accepts: &["{objectStore: {url: 'az://container'}}"],
        refuses: &[("spec.objectStore.url", "{objectStore: {url: 'file:///srv/media'}}")],
    },
    both(
        "keys that begin with mediaorigin.io/ belong to the operator: write one of your own domain",
        &["{podTemplate: {labels: {example.com/a: b}, annotations: {my-mediaorigin.io/a: b}}}"],
        &[
            ("spec.podTemplate.labels", "{podTemplate: {labels: {mediaorigin.io/a: b}}}"),
            (
                "spec.podTemplate.annotations",
                "{podTemplate: {annotations: {mediaorigin.io/cold-config-hash: b}}}",
            ),
        ],
    ),
    both(
        "operator Equal needs a key: write one, or operator Exists for every taint",
        &["{podTemplate: {tolerations: [{operator: Exists}, {key: a}]}}"],
        &[
            ("spec.podTemplate.tolerations[0].key", "{podTemplate: {tolerations: [{value: a}]}}"),
            (
                "spec.podTemplate.tolerations[1].key",
                "{podTemplate: {tolerations: [{key: a}, {operator: Equal}]}}",
            ),
        ],
    ),
    both(
        "operator Exists compares no value: remove it, or write operator Equal",
        &["{podTemplate: {tolerations: [{key: example.com/a, operator: Exists, value: ''}]}}"],
        &[(
            "spec.podTemplate.tolerations[0].value",
            "{podTemplate: {tolerations: [{key: a, operator: Exists, value: b}]}}",
        )],
    ),
    both(
        "durability Disk needs a disk that outlives the pod: set spec.disk.storageClassName, or write Memory or Durable",
        &[
            "{disk: {size: 1Gi, storageClassName: fast}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Disk}]}",
        ],
        &[
            (
                "spec.tierPolicies[0].durability",
                "{tierPolicies: [{name: a, match: {paths: ['**']}, durability: Disk}]}",
            ),
            (
                "spec.tierPolicies[0].durability",
                "{coordination: {nats: {url: 'nats://nats'}}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Disk}]}",
            ),
            (
                "spec.tierPolicies[0].durability",
                "{disk: {size: 1Gi}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Disk}]}",
            ),
        ],
    ),
    both(
        "durability Replicated needs spec.coordination: set it, or write Memory, Disk or Durable",
        &[
            "{coordination: {nats: {url: 'nats://nats'}}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Replicated}]}",
        ],
        &[(
            "spec.tierPolicies[0].durability",
            "{objectStore: {url: 's3://b'}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Replicated}]}",
        )],
    ),
    both(
        "consistency Eager needs spec.coordination: set it, or write Strict",
        &[
            "{tierPolicies: [{name: a, match: {paths: ['**']}, consistency: Strict}]}",
            "{coordination: {nats: {url: 'nats://nats'}}, tierPolicies: [{name: a, match: {paths: ['**']}, consistency: Eager}]}",
        ],
        &[(
            "spec.tierPolicies[0].consistency",
            "{objectStore: {url: 's3://b'}, tierPolicies: [{name: a, match: {paths: ['**']}, consistency: Eager}]}",
        )],
    ),
    both(
        "eagerAfterMilliseconds needs consistency: Eager: set it, or remove this",
        &[
            "{coordination: {nats: {url: 'nats://nats'}}, tierPolicies: [{name: a, match: {paths: ['**']}, consistency: Eager, \
             eagerAfterMilliseconds: 500}]}",
        ],
        &[(
            "spec.tierPolicies[0].eagerAfterMilliseconds",
            "{coordination: {nats: {url: 'nats://nats'}}, tierPolicies: [{name: a, match: {paths: ['**']}, eagerAfterMilliseconds: 500}]}",
        )],
    ),
    both(
        "serveStaleSeconds needs spec.coordination: set it, or remove this",
        &[
            "{coordination: {nats: {url: 'nats://nats'}}, tierPolicies: [{name: a, match: {paths: ['**']}, serveStaleSeconds: 4}]}",
        ],
        &[(
            "spec.tierPolicies[0].serveStaleSeconds",
            "{tierPolicies: [{name: a, match: {paths: ['**']}, serveStaleSeconds: 0}]}",
        )],
    ),
    both(
        "durability Durable needs spec.objectStore: set it, or write Memory or Disk",
        &[
            "{objectStore: {url: 's3://b'}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Durable}]}",
        ],
        &[(
            "spec.tierPolicies[0].durability",
            "{disk: {size: 1Gi, storageClassName: fast}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Durable}]}",
        )],
    ),
    both(
        "disk.keepSeconds of a tier policy needs spec.disk: set it, or remove keepSeconds",
        &["{disk: {size: 1Gi}, tierPolicies: [{name: a, match: {paths: ['**']}, disk: {keepSeconds: 0}}]}"],
        &[(
            "spec.tierPolicies[0].disk.keepSeconds",
            "{objectStore: {url: 's3://b'}, tierPolicies: [{name: a, match: {paths: ['**']}, disk: {keepSeconds: 5}}]}",
        )],
    ),
    both(
        "objectStore.keepSeconds of a tier policy needs spec.objectStore: set it, or remove keepSeconds",
        &[
            "{objectStore: {url: 's3://b'}, tierPolicies: [{name: a, match: {paths: ['**']}, objectStore: {keepSeconds: 5}}]}",
        ],
        &[(
            "spec.tierPolicies[0].objectStore.keepSeconds",
            "{disk: {size: 1Gi}, tierPolicies: [{name: a, match: {paths: ['**']}, objectStore: {keepSeconds: 5}}]}",
        )],
    ),
    both(
        "disk.keepSeconds 0 keeps objects off the disk that their durability (Disk, the default with spec.disk.storageClassName) promises: \
         write at least 1, or durability Memory or Durable",
        &[
            "{disk: {size: 1Gi, storageClassName: fast}, tierPolicies: [{name: a, match: {paths: ['**']}, disk: {keepSeconds: 1}}]}",
            "{disk: {size: 1Gi, storageClassName: fast}, tierPolicies: [{name: a, match: {paths: ['**']}, durability: Memory, \
             disk: {keepSeconds: 0}}]}",
        ],
        &[(
            "spec.tierPolicies[0].disk.keepSeconds",
            "{disk: {size: 1Gi, storageClassName: fast}, tierPolicies: [{name: a, match: {paths: ['**']}, disk: {keepSeconds: 0}}]}",
        )],
    ),
    both(
        "objectStore.keepSeconds 0 keeps objects out of the object store that their durability (Durable, the default with spec.objectStore \
         and no disk that outlives the pod) promises: write at least 1, or durability Memory or Disk",
        &[
            "{objectStore: {url: 's3://b'}, tierPolicies: [{name: a, match: {paths: ['**']}, objectStore: {keepSeconds: 1}}]}",
        ],
        &[(
            "spec.tierPolicies[0].objectStore.keepSeconds",
            "{objectStore: {url: 's3://b'}, tierPolicies: [{name: a, match: {paths: ['**']}, objectStore: {keepSeconds: 0}}]}",
        )],
    ),
    Rule {
        message: "is not a glob",
        knows: Knows::Validate(GLOB),
        accepts: &["{tierPolicies: [{name: a, match: {paths: ['live/[ab]/{a,b}']}}]}"],
        refuses: &[(
            "spec.tierPolicies[0].match.paths[0]",
            "{tierPolicies: [{name: a, match: {paths: ['live/[a']}}]}",
        )],
    },
    both(
        "not a key: write e.g. team or example.com/team",
        &["{podTemplate: {labels: {a.b_c: d}, nodeSelector: {example.com/a: b}}}"],
        &[
            ("spec.podTemplate.labels", "{podTemplate: {labels: {'not a key': a}}}"),
            ("spec.podTemplate.annotations", "{podTemplate: {annotations: {a/b/c: a}}}"),
            ("spec.podTemplate.nodeSelector", "{podTemplate: {nodeSelector: {-a: a}}}"),
            ("spec.service.annotations", "{service: {annotations: {'': a}}}"),
        ],
    ),
];
