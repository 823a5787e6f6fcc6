//! Tables over the tiers of a spec: what is derived, what is refused, and where.

use std::time::Duration;

use crate::config::{CoordinationConfig, DiskConfig, ObjectStoreConfig, TlsConfig};
use crate::load::{self, Resolved};
use crate::policy::{Durability, Keep};
use crate::problem::Problem;
use crate::validate::coordination::{SCOPE_LENGTH_MAX, scope};

fn parse(spec: &str) -> Result<Resolved, Vec<Problem>> {
    let head = "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {name: live}\n";
    load::parse(&format!("{head}spec: {spec}\n"))
}

/// Spec without its braces and its tier policies; one rule for everything, without what it matches.
fn rule(tiers: &str, rule: &str) -> Result<Resolved, Vec<Problem>> {
    let comma = if tiers.is_empty() { "" } else { ", " };
    let rule_comma = if rule.is_empty() { "" } else { ", " };
    parse(&format!(
        "{{{tiers}{comma}tierPolicies: [{{name: a, match: {{paths: ['**']}}{rule_comma}{rule}}}]}}"
    ))
}

const CACHE: &str = "disk: {size: 1Gi}";
const DISK: &str = "disk: {size: 1Gi, storageClassName: fast}";
const STORE: &str = "objectStore: {url: 's3://bucket/live'}";
const FLEET: &str = "coordination: {nats: {url: 'nats://nats:4222'}}";

#[test]
fn durability_follows_the_tiers_where_no_rule_says() {
    let all = |a: &str, b: &str| format!("{a}, {b}");
    let cases = [
        (String::new(), Durability::Memory, Keep::Never, Keep::Never),
        (CACHE.to_owned(), Durability::Memory, Keep::Forever, Keep::Never),
        (DISK.to_owned(), Durability::Disk, Keep::Forever, Keep::Never),
        (STORE.to_owned(), Durability::Durable, Keep::Never, Keep::Forever),
        (all(CACHE, STORE), Durability::Durable, Keep::Forever, Keep::Forever),
        (all(DISK, STORE), Durability::Disk, Keep::Forever, Keep::Forever),
        (FLEET.to_owned(), Durability::Replicated, Keep::Never, Keep::Never),
        (all(FLEET, STORE), Durability::Durable, Keep::Never, Keep::Forever),
    ];
    for (tiers, durability, disk, object_store) in cases {
        let expected = (durability, disk, object_store);
        for resolved in [rule(&tiers, "").unwrap(), parse(&format!("{{{tiers}}}")).unwrap()] {
            let policy = resolved.policies.treat("live/a.ts").policy;
            let found = (policy.durability(), policy.disk(), policy.object_store());
            assert_eq!(found, expected, "{tiers}, rule {}", policy.name());
        }
    }
}

#[test]
fn a_rule_says_what_is_promised_and_how_long_each_tier_keeps() {
    let tiers = format!("{DISK}, {STORE}");
    let seconds = |seconds| Keep::For(Duration::from_secs(seconds));
    let cases = [
        ("durability: Memory", Durability::Memory, Keep::Forever, Keep::Forever),
        ("durability: Durable, disk: {keepSeconds: 0}", Durability::Durable, Keep::Never, Keep::Forever),
        ("objectStore: {keepSeconds: 0}", Durability::Disk, Keep::Forever, Keep::Never),
        (
            "disk: {keepSeconds: 1}, objectStore: {keepSeconds: 604800}",
            Durability::Disk,
            seconds(1),
            seconds(604_800),
        ),
        ("disk: {}, objectStore: {}", Durability::Disk, Keep::Forever, Keep::Forever),
    ];
    for (text, durability, disk, object_store) in cases {
        let resolved = rule(&tiers, text).unwrap();
        let policy = resolved.policies.treat("a").policy;
        let found = (policy.durability(), policy.disk(), policy.object_store());
        assert_eq!(found, (durability, disk, object_store), "{text}");
    }
}

#[test]
fn what_the_tiers_cannot_keep_is_refused_with_what_to_write() {
    let cases = [
        ("", "durability: Disk", "durability", "set spec.disk.storageClassName"),
        (CACHE, "durability: Disk", "durability", "set spec.disk.storageClassName"),
        (DISK, "durability: Durable", "durability", "needs spec.objectStore"),
        ("", "durability: Replicated", "durability", "needs spec.coordination"),
        (STORE, "durability: Replicated", "durability", "needs spec.coordination"),
        (FLEET, "durability: Disk", "durability", "set spec.disk.storageClassName"),
        (FLEET, "durability: Durable", "durability", "needs spec.objectStore"),
        ("", "disk: {keepSeconds: 0}", "disk.keepSeconds", "needs spec.disk"),
        (STORE, "disk: {keepSeconds: 60}", "disk.keepSeconds", "needs spec.disk"),
        (DISK, "objectStore: {keepSeconds: 60}", "objectStore.keepSeconds", "needs spec.objectStore"),
        (DISK, "durability: Disk, disk: {keepSeconds: 0}", "disk.keepSeconds", "durability, Disk"),
        (DISK, "disk: {keepSeconds: 0}", "disk.keepSeconds", "durability, Disk"),
        (STORE, "objectStore: {keepSeconds: 0}", "objectStore.keepSeconds", "durability, Durable"),
        (DISK, "disk: {keepSeconds: -1}", "disk.keepSeconds", "between 0 and"),
        (STORE, "objectStore: {keepSeconds: 315360001}", "objectStore.keepSeconds", "between 0 and"),
    ];
    for (tiers, text, field, words) in cases {
        let problems = rule(tiers, text).unwrap_err();
        assert_eq!(problems[0].field, format!("spec.tierPolicies[0].{field}"), "{tiers} {text}");
        assert!(problems[0].message.contains(words), "{tiers} {text}: {}", problems[0]);
    }
}

#[test]
fn the_tiers_become_cold_settings() {
    let cold = parse(&format!("{{{DISK}, {STORE}}}")).unwrap().cold;
    let dir = "/var/lib/mediaorigin/objects".to_owned();
    // Nine tenths of 1024 MiB.
    assert_eq!(cold.disk, Some(DiskConfig { dir, size_bytes: 921 << 20, is_persistent: true }));
    let (endpoint, region) = ("http://minio:9000", "eu-west-1");
    let text = format!(
        "{{objectStore: {{url: 's3://b', endpoint: '{endpoint}', region: {region}, credentialsSecretRef: {{name: keys}}}}}}"
    );
    // Outside a cluster nothing mounts the Secret.
    let expected = ObjectStoreConfig {
        url: "s3://b".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: Some(region.to_owned()),
        credentials_dir: None,
    };
    assert_eq!(parse(&text).unwrap().cold.object_store, Some(expected.clone()));
    let spec = serde_yaml::from_str(&text).unwrap();
    let in_pod = super::validate(Some("media"), "live", &spec).unwrap().cold.object_store.unwrap();
    let credentials_dir = Some("/etc/mediaorigin-object-store".to_owned());
    assert_eq!(in_pod, ObjectStoreConfig { credentials_dir, ..expected });
}

#[test]
fn tls_becomes_a_cold_setting_and_its_secrets_have_names() {
    let tls = |rest: &str| parse(&format!("{{service: {{tls: {{secretRef: {{name: a}}{rest}}}}}}}"));
    let dir = "/etc/mediaorigin-tls".to_owned();
    let expected = TlsConfig { dir, requires_client_certificates: false };
    assert_eq!(parse("{}").unwrap().cold.tls, None);
    assert_eq!(tls("").unwrap().cold.tls, Some(expected.clone()));
    let with_authorities = TlsConfig { requires_client_certificates: true, ..expected };
    assert_eq!(tls(", clientCASecretRef: {name: b}").unwrap().cold.tls, Some(with_authorities));
    for (text, field) in [
        ("{secretRef: {name: A}}", "secretRef.name"),
        ("{secretRef: {name: a}, clientCASecretRef: {name: b/c}}", "clientCASecretRef.name"),
        ("{clientCASecretRef: {name: b}}", "secretRef"),
        ("{secretRef: {name: a}, bogus: 1}", "bogus"),
    ] {
        let problems = parse(&format!("{{service: {{tls: {text}}}}}")).unwrap_err();
        assert!(problems[0].to_string().starts_with("spec.service.tls"), "{problems:?}");
        assert!(problems[0].to_string().contains(field.split('.').next().unwrap()), "{text}: {problems:?}");
    }
}

#[test]
fn disks_and_buckets_are_read_or_refused_with_the_path_of_the_field() {
    let store = |rest: &str| format!("objectStore: {{{rest}}}");
    let cases = [
        ("disk: {size: 64Mi}".to_owned(), ""),
        ("disk: {size: 63Mi}".to_owned(), "disk.size"),
        ("disk: {size: much}".to_owned(), "disk.size"),
        ("disk: {size: 1Gi, storageClassName: Fast}".to_owned(), "disk.storageClassName"),
        (store("url: 'gs://bucket'"), ""),
        (store("url: 'az://container/a/b/'"), ""),
        (store("url: 'file:///srv/media'"), ""),
        (store("url: 'file:///'"), "objectStore.url"),
        (store("url: 'file://srv'"), "objectStore.url"),
        (store("url: 'ftp://bucket'"), "objectStore.url"),
        (store("url: bucket"), "objectStore.url"),
        (store("url: 's3://'"), "objectStore.url"),
        (store("url: 's3://key:secret@bucket'"), "objectStore.url"),
        (store("url: 's3://bucket/a//b'"), "objectStore.url"),
        (store("url: 's3://bucket/a/../b'"), "objectStore.url"),
        (store("url: 's3://bucket/a b'"), "objectStore.url"),
        (store("url: 's3://b', endpoint: 'https://[::1]:9000/base'"), ""),
        (store("url: 's3://b', endpoint: 'https://user:secret@host'"), "objectStore.endpoint"),
        (store("url: 's3://b', endpoint: 'minio:9000'"), "objectStore.endpoint"),
        (store("url: 's3://b', region: 'EU west'"), "objectStore.region"),
        (store("url: 'gs://b', region: eu"), "objectStore.region"),
        (store("url: 's3://b', credentialsSecretRef: {name: A}"), "objectStore.credentialsSecretRef.name"),
        (store("url: 'file:///a', endpoint: 'http://a'"), "objectStore.endpoint"),
        (store("url: 'file:///a', credentialsSecretRef: {name: keys}"), "objectStore.credentialsSecretRef"),
    ];
    for (spec, field) in cases {
        let problems = parse(&format!("{{{spec}}}")).err().unwrap_or_default();
        let found: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        let expected = format!("spec.{field}");
        assert_eq!(found, if field.is_empty() { vec![] } else { vec![expected.as_str()] }, "{spec}");
        assert!(!problems.iter().any(|problem| problem.message.contains("secret")), "{problems:?}");
    }
}

#[test]
fn a_fleet_may_promise_what_its_log_keeps() {
    let resolved = rule(&format!("{FLEET}, {STORE}"), "durability: Replicated").unwrap();
    assert_eq!(resolved.policies.treat("a").policy.durability(), Durability::Replicated);
    assert!(Durability::Disk < Durability::Replicated && Durability::Replicated < Durability::Durable);
    assert_eq!(Durability::Replicated.as_str(), "Replicated");
}

#[test]
fn coordination_becomes_a_cold_setting() {
    let text = "{replicas: 3, coordination: {nats: {url: 'nats://a:4222,tls://[::1]:4223', credentialsSecretRef: {name: keys}, copies: 1, partitions: 4, walSize: 2Gi}}}";
    let spec = serde_yaml::from_str(text).unwrap();
    let in_pod = super::validate(Some("media"), "live", &spec).unwrap().cold;
    let expected = CoordinationConfig {
        servers: vec!["nats://a:4222".to_owned(), "tls://[::1]:4223".to_owned()],
        credentials_dir: Some("/etc/mediaorigin-nats".to_owned()),
        scope: "media-live".to_owned(),
        copies: 1,
        partitions: 4,
        log_bytes: 2 << 30,
        peer_port: 8082,
        peer_tls: false,
    };
    assert_eq!(in_pod.coordination.as_ref(), Some(&expected));
    assert!(in_pod.tiers().has_log);
    // Outside a cluster nothing mounts the Secret, and there is no namespace.
    let outside = CoordinationConfig { credentials_dir: None, scope: "live".to_owned(), ..expected };
    assert_eq!(parse(text).unwrap().cold.coordination, Some(outside));
    let cold = parse(&format!("{{{FLEET}}}")).unwrap().cold.coordination.unwrap();
    assert_eq!((cold.copies, cold.credentials_dir), (3, None));
    assert_eq!(parse("{}").unwrap().cold.coordination, None);
}

#[test]
fn what_does_not_fit_a_fleet_is_refused_with_the_path_of_the_field() {
    let nats = |rest: &str| format!("coordination: {{nats: {{{rest}}}}}");
    let url = |url: &str| nats(&format!("url: '{url}'"));
    let many = |count: usize| vec!["nats://a"; count].join(",");
    let field = "coordination.nats.url";
    let cases = [
        (format!("replicas: 100, {FLEET}"), ""),
        (format!("replicas: 101, {FLEET}"), "replicas"),
        ("replicas: 2".to_owned(), "replicas"),
        (format!("{FLEET}, {CACHE}"), "disk"),
        (format!("{FLEET}, {DISK}"), "disk"),
        (url("nats://nats.media.svc.cluster.local"), ""),
        (url("tls://10.0.0.7:65535"), ""),
        (url("nats://[fe80::1]"), ""),
        (url(&many(16)), ""),
        (url(&many(17)), field),
        (url(&format!("nats://{}", "a".repeat(1017))), ""),
        (url(&format!("nats://{}", "a".repeat(1018))), field),
        (url(""), field),
        (url("nats:4222"), field),
        (url("http://nats:4222"), field),
        (url("nats://"), field),
        (url("nats://a,"), field),
        (url("nats://a, nats://b"), field),
        (url("nats://a/"), field),
        (url("nats://-a"), field),
        (url("nats://a:"), field),
        (url("nats://a:0"), field),
        (url("nats://a:65536"), field),
        (url("nats://[::1"), field),
        (url("nats://[]:1"), field),
        (url("nats://[::1]x"), field),
        (url("nats://user:secret@nats:4222"), field),
        (nats("url: 'nats://a', copies: 5"), ""),
        (nats("url: 'nats://a', walSize: 4Gi"), ""),
        (nats("url: 'nats://a', partitions: 64"), ""),
        (nats("url: 'nats://a', partitions: 65"), "coordination.nats.partitions"),
        (nats("url: 'nats://a', partitions: 0"), "coordination.nats.partitions"),
        (nats("url: 'nats://a', walSize: 63Mi"), "coordination.nats.walSize"),
        (nats("url: 'nats://a', walSize: 1025Gi"), "coordination.nats.walSize"),
        (nats("url: 'nats://a', walSize: much"), "coordination.nats.walSize"),
        (nats("url: 'nats://a', copies: 2"), "coordination.nats.copies"),
        (nats("url: 'nats://a', copies: 7"), "coordination.nats.copies"),
        (
            nats("url: 'nats://a', credentialsSecretRef: {name: A}"),
            "coordination.nats.credentialsSecretRef.name",
        ),
    ];
    for (spec, field) in cases {
        let problems = parse(&format!("{{{spec}}}")).err().unwrap_or_default();
        let found: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        let expected = format!("spec.{field}");
        assert_eq!(found, if field.is_empty() { vec![] } else { vec![expected.as_str()] }, "{spec}");
        assert!(!problems.iter().any(|problem| problem.message.contains("secret@")), "{problems:?}");
    }
}

/// Two fleets on the same servers are never one, whatever their names.
#[test]
fn fleets_have_names_of_their_own() {
    assert_eq!(scope((Some("media"), "live")), "media-live");
    assert_eq!(scope((None, "live")), "live");
    assert_eq!(scope((Some("a-b"), "c")), "a-b-c-bc4051af31d7f645");
    assert_ne!(scope((Some("a-b"), "c")), scope((Some("a"), "b-c")));
    let (namespace, name) = ("n".repeat(63), "o".repeat(52));
    let long = scope((Some(&namespace), &name));
    assert_eq!(long.len(), SCOPE_LENGTH_MAX);
    assert_ne!(long, scope((Some(&namespace), &"o".repeat(51))));
    assert!(long.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{long}");
    // A whole name that fits is not cut; one more character is too much.
    assert_eq!(scope((Some(&"n".repeat(11)), &name)), format!("{}-{name}", "n".repeat(11)));
    assert_eq!(scope((Some(&"n".repeat(12)), &name)).len(), SCOPE_LENGTH_MAX);
}

#[test]
fn a_durability_that_no_path_can_have_is_not_possible() {
    let rule = |paths: &str, durability: &str| {
        format!("{{name: r{}, match: {{paths: [\"{paths}\"]}}, durability: {durability}}}", paths.len())
    };
    for (rules, more, expected) in [
        (String::new(), "", true),
        (String::new(), STORE, false),
        (rule("**", "Memory"), "", false),
        (rule("live/**", "Memory"), "", true),
        (format!("{}, {}", rule("live/**", "Replicated"), rule("**", "Durable")), STORE, true),
        (format!("{}, {}", rule("**", "Durable"), rule("live/**", "Replicated")), STORE, false),
    ] {
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        let spec = format!("{{{FLEET}{more}, tierPolicies: [{rules}]}}");
        let policies = parse(&spec).unwrap_or_else(|problems| panic!("{spec}: {problems:?}")).policies;
        assert_eq!(policies.may_be(Durability::Replicated), expected, "{spec}");
    }
}
