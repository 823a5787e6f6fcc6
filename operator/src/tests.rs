//! Properties of plans and statuses over generated specs, and tables that no script shows well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use mediaorigin_crds::units::Bytes;
use mediaorigin_crds::v1alpha1::{
    AutoscalingSpec, ClassSpec, ConsistencySpec, CoordinationSpec, CorsRuleSpec, CpuSpec, DiskSpec,
    DurabilitySpec, EnvVarSpec, HeadroomSpec, LimitsSpec, MatchSpec, MediaOriginSpec, MemorySpec,
    MemoryTierSpec, MethodSpec, NatsSpec, ObjectStoreSpec, SecretRefSpec, ServiceTypeSpec, TierPolicySpec,
    TlsSpec, TolerationOperatorSpec, TolerationSpec, VisibilitySpec, WriteAccessSpec,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::apply::{Applied, Failure};
use crate::cluster::ClusterError;
use crate::election::seat::Place;
use crate::observed::Observed;
use crate::part::Part;
use crate::plan::coordination::ChartNats;
use crate::plan::credentials::Issuance;
use crate::plan::difference::differences;
use crate::plan::{Action, Plan, Settings, Verdict, plan};
use crate::reasons::{
    AcceptedReason, ConditionType, ConfiguredReason, HealthReason, ProgressReason, ReadyReason, RoutedReason,
    StalledReason,
};
use crate::reconcile::{Outcome, reconcile};
use crate::status::{Report, status, status_after};

fn settings() -> Settings {
    Settings {
        origin_image: "mediaorigin:test".to_owned(),
        operator_namespace: Some("mediaorigin-system".to_owned()),
        nats: Some(ChartNats {
            url: "nats://mediaorigin-nats.mediaorigin-system.svc:4222".to_owned(),
            credentials: Place {
                namespace: "mediaorigin-system".to_owned(),
                name: "mediaorigin-nats-auth".to_owned(),
            },
            authorities: None,
        }),
    }
}

fn observed(spec: &MediaOriginSpec, generation: i64, children: BTreeMap<Part, Value>) -> Observed {
    let origin = json!({
        "apiVersion": "mediaorigin.io/v1alpha1", "kind": "MediaOrigin", "spec": spec,
        "metadata": { "name": "live", "namespace": "media", "uid": "uid-of-live", "generation": generation },
    });
    Observed::new(&origin, children, Vec::new(), Timestamp::UNIX_EPOCH)
}

/// Every child as the API server would keep it: exactly as it was applied.
fn applied(plan: &Plan) -> BTreeMap<Part, Value> {
    let children = plan.children.iter().map(|child| (child.part, child.body.clone()));
    let secrets = plan.actions.iter().filter_map(|action| match action {
        Action::Issue(Issuance { part, body, .. }) => Some((*part, issued(*part, body))),
        _ => None,
    });
    children.chain(secrets).collect()
}

/// A Secret as a plan sees it: its values are only lengths.
fn issued(part: Part, body: &Value) -> Value {
    let mut secret = body.clone();
    for field in crate::secret::fields(part) {
        secret["data"][field.key] = json!(24);
    }
    secret
}

fn child(plan: &Plan, part: Part) -> Value {
    plan.children.iter().find(|child| child.part == part).unwrap().body.clone()
}

// -- generated specs: every field that a plan depends on

fn strings() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-z]{1,8}", "[a-z0-9]{0,8}", 0..3)
}

fn tier_policies() -> impl Strategy<Value = Vec<TierPolicySpec>> {
    let class = prop_oneof![Just(ClassSpec::Auto), Just(ClassSpec::Manifest), Just(ClassSpec::Segment)];
    let visibility = prop_oneof![Just(VisibilitySpec::Auto), Just(VisibilitySpec::Early)];
    let visibility = (visibility, option::of(Just(DurabilitySpec::Memory)));
    let policy = ("[a-z]{1,6}/\\*\\*", class, visibility, 0..9_000_i32, option::of(1..90_000_i32));
    vec(policy, 0..4).prop_map(|policies| {
        let rule =
            |(index, (path, class, (visibility, durability), keep_seconds, expire_seconds))| TierPolicySpec {
                name: format!("rule-{index}"),
                matches: MatchSpec { paths: vec![path] },
                class,
                visibility,
                durability,
                consistency: ConsistencySpec::Strict,
                eager_after_milliseconds: None,
                serve_stale_seconds: None,
                memory: MemoryTierSpec { keep_seconds },
                disk: None,
                object_store: None,
                expire_seconds,
                cache_control: "Auto".to_owned(),
            };
        policies.into_iter().enumerate().map(rule).collect()
    })
}

fn cors() -> impl Strategy<Value = Vec<CorsRuleSpec>> {
    let rule = ("[a-z]{1,8}", 0..86_400_i32).prop_map(|(host, max_age_seconds)| CorsRuleSpec {
        allowed_origins: vec![format!("https://{host}.example")],
        allowed_methods: vec![MethodSpec::Get, MethodSpec::Put],
        allowed_headers: Vec::new(),
        expose_headers: vec!["ETag".to_owned()],
        max_age_seconds,
    });
    vec(rule, 0..3)
}

/// The hot fields of a spec, and nothing else.
fn hot() -> impl Strategy<Value = MediaOriginSpec> {
    (tier_policies(), cors(), 1..100_u32, 5..3_600_i32).prop_map(|(policies, cors, size, idle)| {
        let mut spec = MediaOriginSpec { tier_policies: policies, ..MediaOriginSpec::default() };
        spec.access.cors = cors;
        spec.limits.object_size = format!("{size}Mi");
        spec.limits.upload_idle_seconds = idle;
        spec
    })
}

/// A fleet by the chart's NATS or another one.
fn coordination() -> impl Strategy<Value = CoordinationSpec> {
    let chart = "nats://mediaorigin-nats.mediaorigin-system.svc:4222";
    let url = prop_oneof![Just(chart.to_owned()), "nats://[a-z]{1,9}:1[0-9]{3}"];
    let copies = prop_oneof![Just(1), Just(3), Just(5)];
    (url, option::of("[a-z]{1,9}"), copies).prop_map(|(url, secret, copies)| CoordinationSpec {
        nats: NatsSpec {
            url,
            credentials_secret_ref: secret.map(|name| SecretRefSpec { name }),
            copies,
            partitions: 1,
            wal_size: None,
        },
        peers: None,
    })
}

/// A disk or a fleet or neither, and an object store or none.
fn tiers() -> impl Strategy<Value = (Option<DiskSpec>, Option<CoordinationSpec>, Option<ObjectStoreSpec>)> {
    let class = option::of(prop_oneof![Just("fast".to_owned()), Just("slow".to_owned())]);
    let disk = (1..9_u32, class).prop_map(|(size, storage_class_name)| DiskSpec {
        size: format!("{}Mi", size * 512),
        storage_class_name,
    });
    let store = ("[a-z]{3,9}", option::of("[a-z]{1,9}")).prop_map(|(bucket, secret)| ObjectStoreSpec {
        url: format!("s3://{bucket}/live"),
        endpoint: None,
        region: None,
        credentials_secret_ref: secret.map(|name| SecretRefSpec { name }),
    });
    (option::of(disk), option::of(coordination()), option::of(store)).prop_map(|(disk, fleet, store)| {
        let fleet = fleet.filter(|_| disk.is_none());
        (disk, fleet, store)
    })
}

/// A whole valid spec.
fn spec() -> impl Strategy<Value = MediaOriginSpec> {
    let pod = (strings(), strings(), strings(), strings(), option::of("[a-z]{1,9}:1"), 0..3_usize);
    let tls = option::of(("[a-z]{1,9}", option::of("[a-z]{1,9}")));
    let service = (0..3_u8, 1..65_535_i32, option::of(30_000..32_767_i32), strings(), tls);
    let size = (512..4096_u32, option::of(1_000..4_000_u32), 16..2_000_i32);
    (hot(), 0..=3_i32, (size, tiers()), option::of("[a-z]{1,9}"), service, pod).prop_map(
        |(
            hot,
            replicas,
            ((memory, cpu, connections), (disk, coordination, object_store)),
            secret,
            service,
            pod,
        )| {
            let replicas = if coordination.is_some() { replicas } else { replicas.min(1) };
            let mut spec = MediaOriginSpec { replicas, disk, object_store, coordination, ..hot };
            spec.memory = MemorySpec { limit: format!("{memory}Mi"), ..spec.memory };
            spec.cpu = CpuSpec { request: "0.5".to_owned(), limit: cpu.map(|milli| format!("{milli}m")) };
            spec.limits = LimitsSpec { connections, ..spec.limits };
            spec.access.write = secret.map(|name| WriteAccessSpec {
                secret_ref: Some(SecretRefSpec { name }),
                ..WriteAccessSpec::default()
            });
            let (kind, port, node_port, annotations, tls) = service;
            spec.service.kind =
                [ServiceTypeSpec::ClusterIP, ServiceTypeSpec::NodePort, ServiceTypeSpec::LoadBalancer]
                    [usize::from(kind)];
            spec.service.port = port;
            spec.service.node_port = node_port.filter(|_| spec.service.kind != ServiceTypeSpec::ClusterIP);
            spec.service.annotations = annotations;
            spec.service.tls = tls.map(|(name, authorities)| TlsSpec {
                secret_ref: SecretRefSpec { name },
                client_ca_secret_ref: authorities.map(|name| SecretRefSpec { name }),
            });
            let (labels, annotations, selector, env, image, tolerations) = pod;
            let template = &mut spec.pod_template;
            template.labels = labels;
            template.annotations = annotations;
            template.node_selector = selector;
            template.env = env.into_iter().map(|(name, value)| EnvVarSpec { name, value }).collect();
            template.image = image;
            let everything =
                TolerationSpec { operator: TolerationOperatorSpec::Exists, ..TolerationSpec::default() };
            template.tolerations = vec![everything; tolerations];
            spec
        },
    )
}

/// Class and size of the volume that a spec wants.
fn volume(spec: &MediaOriginSpec) -> Option<(String, Bytes)> {
    let disk = spec.disk.as_ref()?;
    Some((disk.storage_class_name.clone()?, Bytes::parse(&disk.size).unwrap()))
}

proptest! {
    /// A second plan on the result of the first is empty; nothing of it is a Result.
    #[test]
    fn plan_after_apply_is_empty(spec in spec(), generation in 1..1_000_i64) {
        let first = plan(&settings(), &observed(&spec, generation, BTreeMap::new()));
        prop_assert!(matches!(first.verdict, Verdict::Accepted(_)), "{first}");
        let wanted = first.children.len() + first.secrets.len();
        prop_assert_eq!(first.actions.len(), wanted, "every child and every Secret of ours: {}", first);
        let second = plan(&settings(), &observed(&spec, generation, applied(&first)));
        prop_assert!(second.actions.is_empty(), "{second}");
    }

    /// From any spec to any other: after one plan there is nothing left to do, and exactly the children that differ are applied.
    #[test]
    fn one_plan_is_enough_for_any_edit(before in spec(), after in spec()) {
        let first = plan(&settings(), &observed(&before, 1, BTreeMap::new()));
        let edited = plan(&settings(), &observed(&after, 2, applied(&first)));
        if let (Some((class, size)), Some((new_class, new_size))) = (volume(&before), volume(&after))
            && (class != new_class || new_size < size)
        {
            if after.replicas == 0 {
                prop_assert!(edited.children.iter().all(|child| child.part != Part::PersistentVolumeClaim), "{edited}");
            } else {
                prop_assert!(matches!(edited.verdict, Verdict::Invalid(_)), "{edited}");
                prop_assert!(edited.actions.is_empty(), "{edited}");
                return Ok(());
            }
        }
        let found = |plan: &Plan, part| plan.children.iter().find(|child| child.part == part).cloned();
        for part in Part::ALL {
            let acts = edited.actions.iter().any(|action| matches!(action, Action::Apply(child, _) if child.part == part));
            let wanted = found(&edited, part);
            prop_assert_eq!(acts, wanted.is_some() && found(&first, part) != wanted, "{}", part);
        }
        let mut live = applied(&first);
        live.extend(applied(&edited));
        for action in &edited.actions {
            if let Action::Delete { part, .. } = action {
                prop_assert!(part.is_optional() && found(&edited, *part).is_none());
                live.remove(part);
            }
        }
        let last = plan(&settings(), &observed(&after, 2, live));
        prop_assert!(last.actions.is_empty(), "{last}");
    }

    /// A hot edit never changes the Deployment or the Service, so it never restarts a pod.
    #[test]
    fn hot_edits_change_only_the_config_map(cold in spec(), hot in hot()) {
        let mut edited = cold.clone();
        edited.tier_policies = hot.tier_policies;
        edited.access.cors = hot.access.cors;
        edited.limits.object_size = hot.limits.object_size;
        edited.limits.upload_idle_seconds = hot.limits.upload_idle_seconds;
        let before = plan(&settings(), &observed(&cold, 1, BTreeMap::new()));
        let after = plan(&settings(), &observed(&edited, 2, BTreeMap::new()));
        let cold = |plan: &Plan| -> Vec<_> {
            plan.children.iter().filter(|child| child.part != Part::ConfigMap).cloned().collect()
        };
        prop_assert_eq!(cold(&before), cold(&after));
        prop_assert_ne!(child(&before, Part::ConfigMap), child(&after, Part::ConfigMap));
    }

    /// The configuration that a plan writes is one that an origin reads.
    #[test]
    fn the_config_map_holds_what_an_origin_accepts(spec in spec()) {
        let plan = plan(&settings(), &observed(&spec, 7, BTreeMap::new()));
        let text = child(&plan, Part::ConfigMap)["data"]["origin.yaml"].as_str().unwrap().to_owned();
        let resolved = mediaorigin_crds::load::parse(&text).unwrap();
        prop_assert_eq!(resolved.metadata.generation, 7);
        prop_assert_eq!(resolved.metadata.uid, "uid-of-live");
    }

    /// Row 27: `lastTransitionTime` moves when the status of the condition changes, and only then. Row 22: the generation is
    /// always there. Row 30: a second look at the same state writes nothing.
    #[test]
    fn transition_times_move_with_the_status_alone(steps in vec((0..8_u8, 1..100_i64), 1..12)) {
        let mut seen = observed(&MediaOriginSpec::default(), 1, BTreeMap::new());
        let mut now = 0;
        for (step, (state, pause)) in steps.into_iter().enumerate() {
            now += pause;
            seen.now = Timestamp::from_second(now).unwrap();
            seen.generation = i64::try_from(step).unwrap() + 1;
            bring_about(&mut seen, state);
            let plan = plan(&settings(), &seen);
            seen.children = if plan.children.is_empty() { seen.children } else { applied(&plan) };
            let applied = Applied { plan, refusals: Vec::new(), not_resized: Vec::new() };
            let report = status(&seen, &applied);
            prop_assert_eq!(report.status.observed_generation, seen.generation);
            // `Routed` and `ScalingActive` are there with `spec.route` and `spec.autoscaling` only.
            prop_assert_eq!(report.status.conditions.len(), ConditionType::ALL.len() - 2);
            for new in &report.status.conditions {
                prop_assert_eq!(new.observed_generation, seen.generation);
                let old = seen.status.conditions.iter().find(|old| old.kind == new.kind);
                let moved = old.is_none_or(|old| old.last_transition_time != new.last_transition_time);
                prop_assert_eq!(moved, old.is_none_or(|old| old.status != new.status), "{:?}", new);
            }
            let stalled = |kind: &str| report.status.conditions.iter().any(|new| new.kind == kind && new.status == mediaorigin_crds::v1alpha1::ConditionStatus::True);
            prop_assert!(!(stalled("Stalled") && stalled("Reconciling")));
            seen.status = report.status;
            seen.now = Timestamp::from_second(now + 1).unwrap();
            prop_assert!(!status(&seen, &applied).changed);
        }
    }
}

/// One of several states of an origin's spec and pods.
fn bring_about(seen: &mut Observed, state: u8) {
    let mut spec = MediaOriginSpec::default();
    let ready = |value: &str| json!({ "conditions": [{ "type": "Ready", "status": value }] });
    let waiting = json!({ "containerStatuses": [{
        "name": "origin", "image": "x", "imageID": "", "ready": false, "restartCount": 3,
        "state": { "waiting": { "reason": "CrashLoopBackOff" } },
    }] });
    let pods = match state {
        0 => vec![],
        1 => vec![ready("True")],
        2 => vec![ready("False")],
        3 => vec![waiting],
        4 => vec![ready("True"), waiting],
        5 => {
            "banana".clone_into(&mut spec.memory.limit);
            vec![ready("True")]
        }
        6 => {
            "banana".clone_into(&mut spec.memory.limit);
            vec![]
        }
        _ => {
            spec.replicas = 0;
            vec![]
        }
    };
    seen.spec = Ok(spec);
    seen.pods = pods
        .into_iter()
        .map(|status| {
            serde_json::from_value(json!({ "metadata": { "name": "live-1" }, "status": status })).unwrap()
        })
        .collect();
}

/// A misspelt field in a builder would vanish on the way through the typed objects of Kubernetes.
#[test]
fn children_have_no_field_that_kubernetes_does_not_know() {
    fn known<T: DeserializeOwned + Serialize>(body: &Value) {
        let typed: T = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(differences(body, &serde_json::to_value(typed).unwrap()), []);
    }
    let mut spec = MediaOriginSpec::default();
    spec.access.write = Some(WriteAccessSpec {
        secret_ref: Some(SecretRefSpec { name: "publisher".to_owned() }),
        ..WriteAccessSpec::default()
    });
    spec.service.kind = ServiceTypeSpec::NodePort;
    spec.service.node_port = Some(30_080);
    spec.service.tls = Some(TlsSpec {
        secret_ref: SecretRefSpec { name: "certificate".to_owned() },
        client_ca_secret_ref: Some(SecretRefSpec { name: "encoders".to_owned() }),
    });
    spec.cpu.limit = Some("2".to_owned());
    spec.pod_template.env = vec![EnvVarSpec { name: "A".to_owned(), value: "1".to_owned() }];
    let everything = TolerationSpec { operator: TolerationOperatorSpec::Exists, ..TolerationSpec::default() };
    spec.pod_template.tolerations = vec![everything];
    spec.pod_template.image_pull_secrets = vec![SecretRefSpec { name: "registry".to_owned() }];
    spec.pod_template.priority_class_name = Some("high".to_owned());
    spec.pod_template.node_selector = BTreeMap::from([("disk".to_owned(), "fast".to_owned())]);
    let secret = SecretRefSpec { name: "bucket".to_owned() };
    spec.object_store = Some(ObjectStoreSpec {
        url: "s3://bucket".to_owned(),
        endpoint: None,
        region: None,
        credentials_secret_ref: Some(secret),
    });
    spec.disk = Some(DiskSpec { size: "1Gi".to_owned(), storage_class_name: None });
    let ephemeral = plan(&settings(), &observed(&spec, 1, BTreeMap::new()));
    known::<Deployment>(&child(&ephemeral, Part::Deployment));
    let nats = NatsSpec {
        url: "nats://nats".to_owned(),
        credentials_secret_ref: None,
        copies: 3,
        partitions: 1,
        wal_size: None,
    };
    let fleet = MediaOriginSpec {
        replicas: 3,
        disk: None,
        coordination: Some(CoordinationSpec { nats, peers: None }),
        autoscaling: Some(AutoscalingSpec {
            headroom: HeadroomSpec { replicas: 2, ..HeadroomSpec::default() },
            ..AutoscalingSpec::default()
        }),
        ..spec.clone()
    };
    let fleet = plan(&settings(), &observed(&fleet, 1, BTreeMap::new()));
    known::<Deployment>(&child(&fleet, Part::Deployment));
    known::<Deployment>(&child(&fleet, Part::Headroom));
    known::<NetworkPolicy>(&child(&fleet, Part::NetworkPolicy));
    known::<PodDisruptionBudget>(&child(&fleet, Part::PodDisruptionBudget));
    spec.disk = Some(DiskSpec { size: "1Gi".to_owned(), storage_class_name: Some("fast".to_owned()) });
    let plan = plan(&settings(), &observed(&spec, 1, BTreeMap::new()));
    known::<PersistentVolumeClaim>(&child(&plan, Part::PersistentVolumeClaim));
    known::<ServiceAccount>(&child(&plan, Part::ServiceAccount));
    known::<ConfigMap>(&child(&plan, Part::ConfigMap));
    known::<Service>(&child(&plan, Part::Service));
    known::<Deployment>(&child(&plan, Part::Deployment));
}

/// Rows 46, 47, 48, 51, 53.
#[test]
fn pods_satisfy_the_restricted_profile_with_a_read_only_root() {
    let plan = plan(&settings(), &observed(&MediaOriginSpec::default(), 1, BTreeMap::new()));
    let deployment = child(&plan, Part::Deployment);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let container = &pod["containers"][0];
    let expected = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
    });
    assert_eq!(container["securityContext"], expected);
    assert_eq!(container["resources"]["requests"]["memory"], container["resources"]["limits"]["memory"]);
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
    assert!(container["startupProbe"].is_object());
    let strategy =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    assert_eq!(deployment["spec"]["strategy"], strategy);
}

#[test]
fn differences_look_at_our_fields_alone() {
    let limits = |memory: &str, cpu: &str| json!({ "limits": { "memory": memory, "cpu": cpu } });
    let cases: [(Value, Value, &[&str]); 12] = [
        (json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), &[]),
        (json!({ "a": 1 }), json!({ "a": 2 }), &["a 2 → 1"]),
        (json!({ "a": { "b": "x" } }), json!({}), &["a absent → {\"b\":\"x\"}"]),
        (json!({ "a": "" }), json!({}), &[]),
        (json!({ "a": [] }), json!({}), &[]),
        (json!({ "a": false }), json!({}), &["a absent → false"]),
        (limits("1024Mi", "0.5"), limits("1Gi", "500m"), &[]),
        (
            limits("1Gi", "1"),
            limits("1G", "1001m"),
            &["limits.cpu \"1001m\" → \"1\"", "limits.memory \"1G\" → \"1Gi\""],
        ),
        (
            json!({ "c": [{ "name": "a", "v": 1 }] }),
            json!({ "c": [{ "name": "side" }, { "name": "a", "v": 1, "w": 2 }] }),
            &[],
        ),
        (json!({ "c": [{ "name": "a", "v": 1 }] }), json!({ "c": [{ "name": "b", "v": 1 }] }), &["c[a]"]),
        (json!({ "args": ["a", "b"] }), json!({ "args": ["a", "b", "c"] }), &["args"]),
        (json!({ "args": ["a", "b"] }), json!({ "args": ["a", "x"] }), &["args[1] \"x\" → \"b\""]),
    ];
    for (desired, live, expected) in cases {
        let found: Vec<String> = differences(&desired, &live).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{desired} {live}");
    }
}

/// Row 26: reasons are one CamelCase word each from a documented list; row 24: so are the types.
#[test]
fn reasons_and_types_are_documented_camel_case_words() {
    let document = include_str!("../../docs/conditions.md");
    let lists: [Vec<&str>; 8] = [
        ConditionType::ALL.iter().map(|one| one.as_str()).collect(),
        AcceptedReason::ALL.iter().map(|one| one.as_str()).collect(),
        ReadyReason::ALL.iter().map(|one| one.as_str()).collect(),
        ProgressReason::ALL.iter().map(|one| one.as_str()).collect(),
        StalledReason::ALL.iter().map(|one| one.as_str()).collect(),
        ConfiguredReason::ALL.iter().map(|one| one.as_str()).collect(),
        HealthReason::ALL.iter().map(|one| one.as_str()).collect(),
        RoutedReason::ALL.iter().map(|one| one.as_str()).collect(),
    ];
    for word in lists.into_iter().flatten() {
        assert!(word.starts_with(|first: char| first.is_ascii_uppercase()), "{word}");
        assert!(word.chars().all(|letter| letter.is_ascii_alphabetic()), "{word}");
        assert!(document.contains(&format!("`{word}`")), "{word} is not in docs/conditions.md");
    }
}

/// A hash that is part of a pod template must never change by itself: it would restart every pod at an upgrade.
#[test]
fn hashes_are_stable() {
    assert_eq!(crate::plan::stable_hash(""), "cbf29ce484222325");
    assert_eq!(crate::plan::stable_hash("foobar"), "85944171f73967e8");
    let plan = plan(&settings(), &observed(&MediaOriginSpec::default(), 1, BTreeMap::new()));
    let template = &child(&plan, Part::Deployment)["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(template["mediaorigin.io/cold-config-hash"], "ab3dd48e06332503");
}

/// Row 57: what the chart grants is a list of single verbs on single resources. Secrets are neither listed nor watched nor deleted, and
/// deleted is only what a spec may ask for and not ask for any more.
#[test]
fn the_chart_grants_no_wildcard_no_list_of_secrets_and_hardly_a_deletion() {
    let rules = include_str!("../../charts/mediaorigin-operator/templates/_names.tpl");
    let lines =
        |word: &'static str| rules.lines().filter(move |line| line.trim().starts_with(word)).map(str::trim);
    let granted: Vec<(&str, &str)> = lines("resources:").zip(lines("verbs:")).collect();
    assert!(granted.len() >= 8 && lines("resources:").count() == lines("verbs:").count());
    let optional = Part::ALL.into_iter().filter(|part| part.is_optional()).map(Part::plural);
    let mut deletable: Vec<String> = optional.map(|plural| format!("resources: [{plural}]")).collect();
    for (resources, verbs) in granted {
        let all = format!("{resources} {verbs}");
        assert!(
            !["*", "finalizers", "escalate", "bind", "impersonate"].iter().any(|word| all.contains(word)),
            "{all}"
        );
        if resources.contains("secrets") {
            assert_eq!((resources, verbs), ("resources: [secrets]", "verbs: [get, create, update]"));
        }
        if verbs.contains("delete") {
            let place = deletable.iter().position(|one| one == resources);
            deletable.remove(place.unwrap_or_else(|| panic!("{all}")));
        }
    }
    assert_eq!(deletable, Vec::<String>::new(), "what may be deleted and is not granted");
}

/// A failure that may pass never stalls; it takes `Ready` only from an origin that is not served or not found.
#[test]
fn failures_of_the_api_are_reported_as_progress() {
    let failure = |part, text: &str| Failure {
        part,
        error: ClusterError::Timeout { attempt: format!("apply {} media/live: {text}", part.kind()) },
    };
    let said = |seen: &Observed, part, text: &str| {
        let plan = plan(&settings(), seen);
        status_after(
            seen,
            &Applied { plan, refusals: Vec::new(), not_resized: Vec::new() },
            &[failure(part, text)],
        )
    };
    let reasons = |report: &Report| -> Vec<String> {
        let conditions = report.status.conditions.iter();
        conditions.map(|one| format!("{}={:?} {}", one.kind, one.status, one.reason)).collect()
    };
    let rest = ["Progressing=True ApiError", "Reconciling=True ApiError", "Stalled=False NotStalled"];

    let mut seen = observed(&MediaOriginSpec::default(), 1, BTreeMap::new());
    let report = said(&seen, Part::Deployment, "port 41234");
    assert_eq!(reasons(&report)[1], "Ready=False ApiError");
    assert_eq!(reasons(&report)[2..5], rest);
    let message = "cannot apply Deployment media/live: port 41234: no answer within 10s";
    assert_eq!(report.status.conditions[1].message, message);
    assert_eq!(report.status.conditions[2].message, message);
    seen.status = report.status;
    assert!(!said(&seen, Part::Deployment, "port 50001").changed);
    assert!(said(&seen, Part::Deployment, "no route").changed);

    bring_about(&mut seen, 1);
    seen.children = applied(&plan(&settings(), &seen));
    let report = said(&seen, Part::ConfigMap, "");
    assert_eq!(reasons(&report)[1], "Ready=True Serving");
    assert_eq!(reasons(&report)[2..5], rest);
    seen.children.remove(&Part::Service);
    assert_eq!(reasons(&said(&seen, Part::Service, ""))[1], "Ready=False ApiError");
    bring_about(&mut seen, 3);
    let report = said(&seen, Part::ConfigMap, "");
    assert_eq!(reasons(&report)[1], "Ready=False CrashLoop");
    assert_eq!(reasons(&report)[2..5], rest);
}

/// One child's error keeps neither the others nor the status from being written; a failed announcement is no error.
#[tokio::test]
async fn the_error_of_one_child_blocks_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = kube::Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    let cluster = crate::cluster::Cluster { client: kube::Client::try_from(config).unwrap() };
    let written = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&written);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                    stream.read_buf(&mut head).await.unwrap();
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let line = head.lines().next().unwrap();
                let path = line.split(['?', ' ']).nth(1).unwrap();
                let writes = line.starts_with("PATCH") || line.starts_with("POST");
                let (status, body) = answer(writes, path);
                if writes {
                    log.lock().unwrap().push(path.rsplit("/media/").next().unwrap().to_owned());
                }
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                // Closed with a body unread, the connection would be reset and the answer lost.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    let metrics = Arc::new(crate::metrics::Metrics::default());
    let (agents, _news) = crate::agents::Agents::new(Arc::clone(&metrics));
    let scalers = crate::scaling::Scalers::new(Arc::clone(&metrics), agents.news());
    let world =
        crate::apply::World { cluster: &cluster, agents: &agents, metrics: &metrics, scalers: &scalers };
    let outcome = reconcile(world, &settings(), ("media", "live")).await.unwrap();
    let Outcome::Done { error: Some(error), refused: false, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.to_string(), "cannot apply Service media/live: webhook is down");
    let expected = [
        "serviceaccounts/live",
        "secrets",
        "configmaps/live",
        "services/live",
        "services/live-pods",
        "networkpolicies/live",
        "deployments/live",
        "pods/live-1",
        "mediaorigins/live/status",
    ];
    assert_eq!(*written.lock().unwrap(), expected);
}

/// An API server with one origin and one pod, where Services and pods cannot be written.
fn answer(write: bool, path: &str) -> (u16, String) {
    let failure = |code: u16, reason: &str, message: &str| {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code, "details": { "name": "live" },
        });
        (code, status.to_string())
    };
    let metadata = json!({ "name": "live", "namespace": "media", "uid": "uid-of-live", "generation": 1 });
    let origin = json!({
        "apiVersion": "mediaorigin.io/v1alpha1", "kind": "MediaOrigin", "metadata": metadata, "spec": {},
    });
    let container = json!({ "name": "origin", "image": "x", "imageID": "", "ready": true, "restartCount": 0, "state": { "running": {} } });
    let pod = json!({
        "metadata": { "name": "live-1", "namespace": "media" }, "status": { "containerStatuses": [container] },
    });
    match path {
        _ if write && (path.contains("/services/") || path.contains("/pods/")) => {
            failure(500, "InternalError", "webhook is down")
        }
        _ if write && path.ends_with("/secrets") => {
            (200, json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {} }).to_string())
        }
        _ if write || path.contains("/mediaorigins/") => (200, origin.to_string()),
        _ if path.ends_with("/pods") => {
            let list = json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [pod] });
            (200, list.to_string())
        }
        _ => failure(404, "NotFound", "not found"),
    }
}

/// Row 64: an API server that accepts connections and never answers costs ten seconds, not for ever.
#[tokio::test(start_paused = true)]
async fn a_silent_api_server_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    let cluster = crate::cluster::Cluster { client: kube::Client::try_from(config).unwrap() };
    let error = cluster.origin("media", "live").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read MediaOrigin media/live: no answer within 10s");
    assert!(error.refusal().is_none() && !error.is_not_found());
}
