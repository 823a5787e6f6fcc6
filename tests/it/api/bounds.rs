//! Cases made from the schema itself: every bound, enum, list, map, required field and type of it, at the edge and one beyond.

use mediaorigin_crds::crd;
use serde_json::{Value, json};

/// A spec and what must come of it.
#[derive(Debug)]
pub(super) struct Case {
    /// What is tried.
    pub(super) what: String,
    /// The spec.
    pub(super) spec: Value,
    /// The field that is refused; `None` where nothing is.
    pub(super) refused: Option<String>,
}

/// A spec with every field that there is, each with room up and down, but for what cannot be beside a disk.
const FULL: &str = "
replicas: 1
memory: {limit: 64Gi, resize: InPlace}
cpu: {request: 250m, limit: '2'}
disk: {size: 20Gi, storageClassName: fast}
objectStore: {url: 's3://bucket/live', endpoint: 'https://minio.storage:9000', region: eu-west-1, credentialsSecretRef: {name: keys}}
autoscaling:
  mode: External
  minReplicas: 1
  maxReplicas: 100
  targets: {egressMegabitsPerSecond: 800, requestsPerSecond: 4000, connections: 1000, cpuPercent: 90}
  utilizationPercent: 60
  scaleDown: {stabilizationSeconds: 60, percentPerMinute: 10}
  headroom: {replicas: 2, priorityClassName: spare}
  missingData: {policy: Hold, replicas: 2}
  schedules:
  - {name: derby, cron: 0 18 * * 6, timeZone: Europe/Paris, durationSeconds: 10800, minReplicas: 1}
  events:
  - name: final
    start: '2026-07-19T21:00:00+02:00'
    durationSeconds: 10800
    minReplicas: 1
    expectedPeak: {egressMegabitsPerSecond: 90000, requestsPerSecond: 40000, connections: 100000}
limits: {objectSize: 25Mi, connections: 2000, uploadIdleSeconds: 30}
tierPolicies:
- name: live
  match: {paths: ['live/**']}
  class: Segment
  visibility: Early
  durability: Memory
  consistency: Strict
  memory: {keepSeconds: 30}
  disk: {keepSeconds: 60}
  objectStore: {keepSeconds: 600}
  expireSeconds: 3600
  cacheControl: max-age=6
cdnProfile: Fastly
access:
  write: {secretRef: {name: publishers}, overlapSeconds: 60}
  read: SignedUrls
  cors:
  - {allowedOrigins: ['https://player.example'], allowedMethods: [GET], allowedHeaders: [range], exposeHeaders: [etag], maxAgeSeconds: 60}
compatibility: {mediaStore: Strict}
service:
  type: NodePort
  port: 8443
  nodePort: 30080
  annotations: {example.com/a: b}
  tls: {secretRef: {name: certificate}, clientCASecretRef: {name: authorities}}
route:
  parentRefs: [{name: gateway, namespace: gateways, sectionName: https}]
  hostnames: [live.example.com]
monitoring: {podMonitor: Enabled, labels: {release: prometheus}}
networkPolicy: {mode: Managed, adminNamespaces: [monitoring]}
reconciliation: Active
podTemplate:
  labels: {team: media}
  annotations: {example.com/a: b}
  image: registry.example/mediaorigin:1
  imagePullPolicy: Always
  imagePullSecrets: [{name: registry}]
  nodeSelector: {disk: fast}
  tolerations: [{key: dedicated, operator: Equal, value: media, effect: NoSchedule}]
  priorityClassName: media
  env: [{name: RUST_LOG, value: info}]
";

/// What cannot: [`FULL`] has it instead of its disk then.
const FLEET: &str = "{nats: {url: 'nats://nats:4222', credentialsSecretRef: {name: keys}, copies: 3, partitions: 2, walSize: 1Gi}, peers: {tls: Enabled}}";
/// What only a fleet has: the field, where it is in a spec, and where in the schema.
const OF_FLEETS: [[&str; 3]; 3] = [
    ["spec.coordination", "/coordination", "/properties/coordination"],
    [
        "spec.tierPolicies[0].eagerAfterMilliseconds",
        "/tierPolicies/0/eagerAfterMilliseconds",
        "/properties/tierPolicies/items/properties/eagerAfterMilliseconds",
    ],
    [
        "spec.tierPolicies[0].serveStaleSeconds",
        "/tierPolicies/0/serveStaleSeconds",
        "/properties/tierPolicies/items/properties/serveStaleSeconds",
    ],
];

/// Values within a bound that a CEL rule forbids beside the rest of the full spec.
const ELSEWHERE: [(&str, &str); 8] = [
    ("spec.replicas", "100"),
    ("spec.tierPolicies[0].durability", "\"Replicated\""),
    ("spec.tierPolicies[0].consistency", "\"Eager\""),
    ("spec.coordination.nats.copies", "2"),
    ("spec.coordination.nats.copies", "4"),
    ("spec.autoscaling.mode", "\"Internal\""),
    ("spec.service.type", "\"ClusterIP\""),
    ("spec.podTemplate.tolerations[0].operator", "\"Exists\""),
];

/// How long texts of a field begin; the rest is filled up.
const BEGINNINGS: [(&str, &str); 4] = [
    ("spec.coordination.nats.url", "nats://"),
    ("spec.objectStore.url", "s3://bucket/"),
    ("spec.objectStore.endpoint", "https://"),
    ("spec.access.cors[0].allowedOrigins[0]", "https://"),
];

/// No text that their pattern admits is as long as they may be (a key: as one word); CEL's cost needs the length.
const SHORTER: [&str; 10] = [
    "spec.memory.limit",
    "spec.limits.objectSize",
    "spec.disk.size",
    "spec.coordination.nats.walSize",
    "spec.cpu.request",
    "spec.cpu.limit",
    "spec.podTemplate.tolerations[0].key",
    "spec.autoscaling.schedules[0].cron",
    "spec.autoscaling.schedules[0].timeZone",
    "spec.autoscaling.events[0].start",
];

/// The spec with every field.
pub(super) fn full() -> Value {
    serde_yaml::from_str(FULL).unwrap()
}

/// The spec of a fleet, without what that cannot have.
fn fleet() -> Value {
    let mut spec = full();
    spec["coordination"] = serde_yaml::from_str(FLEET).unwrap();
    spec.as_object_mut().unwrap().remove("disk");
    let rule = &mut spec["tierPolicies"][0];
    rule.as_object_mut().unwrap().remove("disk");
    rule["consistency"] = json!("Eager");
    rule["eagerAfterMilliseconds"] = json!(500);
    rule["serveStaleSeconds"] = json!(4);
    spec
}

/// All cases.
pub(super) fn cases() -> Vec<Case> {
    let definition = crd::definition().unwrap();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
    let everything = |spec: &Value| Case { what: "everything".to_owned(), spec: spec.clone(), refused: None };
    let (full, fleet) = (full(), fleet());
    let mut maker = Maker { cases: vec![everything(&full), everything(&fleet)], around: full.clone() };
    maker.walk("spec", "", schema, &full);
    maker.around = fleet.clone();
    for [field, pointer, place] in OF_FLEETS {
        maker.walk(field, pointer, schema.pointer(place).unwrap(), fleet.pointer(pointer).unwrap());
    }
    maker.cases
}

struct Maker {
    cases: Vec<Case>,
    /// The spec around what is tried.
    around: Value,
}

impl Maker {
    /// Cases of the value at `pointer`, which people call `field`.
    fn walk(&mut self, field: &str, pointer: &str, schema: &Value, value: &Value) {
        let odd = if schema["type"] == "string" { json!(7.5) } else { json!("text") };
        self.refuse("another type", field, pointer, odd);
        match schema["type"].as_str() {
            Some("integer") => self.integer(field, pointer, schema),
            Some("string") if schema["enum"].is_array() => self.enumeration(field, pointer, schema),
            Some("string") => self.text(field, pointer, schema),
            Some("array") => self.array(field, pointer, schema, value),
            Some("object") if schema["additionalProperties"].is_object() => {
                self.map(field, pointer, schema, value);
            }
            Some("object") => self.object(field, pointer, schema, value),
            kind => panic!("{field} has the type {kind:?}, of which there are no cases"),
        }
    }

    fn integer(&mut self, field: &str, pointer: &str, schema: &Value) {
        for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
            let edge = schema[bound].as_i64().unwrap();
            self.accept(bound, field, pointer, json!(edge));
            self.refuse(bound, field, pointer, json!(edge + beyond));
        }
    }

    fn enumeration(&mut self, field: &str, pointer: &str, schema: &Value) {
        for variant in schema["enum"].as_array().unwrap() {
            self.accept("enum", field, pointer, variant.clone());
        }
        self.refuse("enum", field, pointer, json!("Nonsense"));
    }

    fn text(&mut self, field: &str, pointer: &str, schema: &Value) {
        let max = usize::try_from(schema["maxLength"].as_u64().unwrap()).unwrap();
        let beginning = BEGINNINGS.iter().find(|(known, _)| *known == field).map_or("", |(_, text)| text);
        let long = |length: usize| json!(format!("{beginning}{}", "a".repeat(length - beginning.len())));
        if !SHORTER.contains(&field) {
            self.accept("maxLength", field, pointer, long(max));
        }
        self.refuse("maxLength", field, pointer, long(max + 1));
        if schema["minLength"].as_u64().unwrap_or(0) > 0 {
            self.refuse("minLength", field, pointer, json!(""));
        }
        if schema["pattern"].is_string() {
            self.refuse("pattern", field, pointer, json!("ü \n"));
        }
    }

    fn array(&mut self, field: &str, pointer: &str, schema: &Value, value: &Value) {
        let max = schema["maxItems"].as_u64().unwrap();
        let entry = &value[0];
        let key = schema["x-kubernetes-list-map-keys"][0].as_str();
        let variants = schema["items"]["enum"].as_array();
        let entries = |count: u64| (0..count).map(|number| distinct(entry, key, variants, number)).collect();
        self.accept("maxItems", field, pointer, entries(max));
        self.refuse("maxItems", field, pointer, entries(max + 1));
        if schema["minItems"].as_u64().unwrap_or(0) > 0 {
            self.refuse("minItems", field, pointer, json!([]));
        } else {
            self.accept("minItems", field, pointer, json!([]));
        }
        let twice = json!([entry, entry]);
        match schema["x-kubernetes-list-type"].as_str() {
            Some("atomic") => self.accept("the same twice", field, pointer, twice),
            _ => self.refuse("the same twice", field, pointer, twice),
        }
        self.walk(&format!("{field}[0]"), &format!("{pointer}/0"), &schema["items"], entry);
    }

    fn map(&mut self, field: &str, pointer: &str, schema: &Value, value: &Value) {
        let max = schema["maxProperties"].as_u64().unwrap();
        let entries = |count: u64| (0..count).map(|number| (format!("key-{number}"), json!("a"))).collect();
        self.accept("maxProperties", field, pointer, entries(max));
        self.refuse("maxProperties", field, pointer, entries(max + 1));
        let (key, value) = value.as_object().unwrap().iter().next().unwrap();
        let escaped = key.replace('/', "~1");
        self.walk(
            &format!("{field}.{key}"),
            &format!("{pointer}/{escaped}"),
            &schema["additionalProperties"],
            value,
        );
    }

    fn object(&mut self, field: &str, pointer: &str, schema: &Value, value: &Value) {
        let with = |name: &str, change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut object = value.as_object().unwrap().clone();
            assert!(object.contains_key(name), "the full spec lacks {field}.{name}");
            change(&mut object);
            Value::Object(object)
        };
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().unwrap() {
            let below = format!("{field}.{name}");
            // In a walk of its own.
            if OF_FLEETS.iter().any(|[of_fleets, ..]| *of_fleets == below) {
                continue;
            }
            let absent = with(name, &|object| drop(object.remove(name)));
            let null = with(name, &|object| drop(object.insert(name.clone(), Value::Null)));
            if required.contains(&json!(name)) {
                self.refuse("a required field is absent", field, pointer, absent);
                self.refuse("a required field is null", field, pointer, null);
            } else if !NEEDED.contains(&below.as_str()) {
                self.accept(&format!("{name} is absent"), field, pointer, absent);
                self.accept(&format!("{name} is null"), field, pointer, null);
            }
            self.walk(&below, &format!("{pointer}/{name}"), property, &value[name]);
        }
        let mut unknown = value.clone();
        unknown["nonsense"] = json!(1);
        self.refuse("an unknown field", &format!("{field}.nonsense"), pointer, unknown);
    }

    fn accept(&mut self, what: &str, field: &str, pointer: &str, value: Value) {
        let text = value.to_string();
        if ELSEWHERE.iter().any(|(known, forbidden)| *known == field && *forbidden == text) {
            return;
        }
        self.push(what, field, pointer, value, None);
    }

    fn refuse(&mut self, what: &str, field: &str, pointer: &str, value: Value) {
        // The parent is replaced where a field is taken out or added.
        self.push(what, field, pointer, value, Some(field.to_owned()));
    }

    fn push(&mut self, what: &str, field: &str, pointer: &str, value: Value, refused: Option<String>) {
        let mut spec = self.around.clone();
        *spec.pointer_mut(pointer).unwrap() = value;
        self.cases.push(Case { what: format!("{field}: {what}"), spec, refused });
    }
}

/// What other fields of the full spec need: a rule, not the schema, says so.
const NEEDED: [&str; 5] = [
    "spec.disk",
    "spec.objectStore",
    "spec.access.write",
    "spec.service.type",
    "spec.podTemplate.tolerations[0].key",
];

/// Entry number `number` of a list, like no other of it.
fn distinct(entry: &Value, key: Option<&str>, variants: Option<&Vec<Value>>, number: u64) -> Value {
    let index = usize::try_from(number).unwrap();
    match (entry, key, variants) {
        (_, _, Some(variants)) => variants[index % variants.len()].clone(),
        (Value::String(text), ..) => json!(format!("{text}{number}")),
        (entry, Some(key), _) => {
            let mut entry = entry.clone();
            entry[key] = json!(format!("{}{number}", entry[key].as_str().unwrap()));
            entry
        }
        (entry, None, _) => entry.clone(),
    }
}
