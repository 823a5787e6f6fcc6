//! Tables over the pure parts: quantities, budgets, classes, globs, validation.

use crate::budget::Budget;
use crate::policy::{CacheControl, CdnProfile, Class, Visibility};
use crate::units::Bytes;
use crate::{document, load};

#[test]
fn quantities_parse_as_kubernetes_does() {
    let cases = [
        ("2Gi", 2 << 30),
        ("512Mi", 512 << 20),
        ("1.5G", 1_500_000_000),
        ("1048576", 1 << 20),
        ("0.5Ki", 512),
    ];
    for (text, bytes) in cases {
        assert_eq!(Bytes::parse(text).map(Bytes::get), Ok(bytes), "{text}");
    }
    for text in
        ["", "banana", "-1", "1e3", "1.0000000001", "100m", "2 Gi", "2gi", "Gi", "9999999999999Ti", "1.3"]
    {
        assert!(Bytes::parse(text).is_err(), "{text}");
    }
}

#[test]
fn quantities_print_the_largest_exact_unit() {
    for (bytes, text) in [(2 << 30, "2Gi"), (1536 << 20, "1536Mi"), (1000, "1000"), (0, "0")] {
        assert_eq!(Bytes(bytes).to_string(), text);
    }
}

#[test]
fn budget_terms_add_up_and_a_small_limit_names_one_that_is_enough() {
    for disk in [None, Some(Bytes(64 << 20)), Some(Bytes(1 << 40))] {
        let budget = Budget::derive(Bytes(1 << 30), 1000, disk).unwrap();
        let Budget { limit, base, connections, index, slack, objects } = budget;
        assert_eq!(
            [base, connections, index, slack, objects].map(Bytes::get).iter().sum::<u64>(),
            limit.get()
        );
        let error = Budget::derive(Bytes(128 << 20), 100_000, disk).unwrap_err().to_string();
        let needed = error.split("at least ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(Budget::derive(Bytes::parse(needed).unwrap(), 100_000, disk).is_ok(), "{error}");
    }
}

#[test]
fn the_index_of_a_disk_has_its_share_or_what_the_smallest_files_need() {
    let index = |disk| Budget::derive(Bytes(1 << 30), 1000, disk).unwrap().index.get();
    assert_eq!(index(None), 0);
    // 16,384 files of 4 KiB at most.
    assert_eq!(index(Some(Bytes(64 << 20))), 16_384 * 384);
    assert_eq!(index(Some(Bytes(1 << 40))), (1 << 30) / 100 * 5);
}

#[test]
fn classes_follow_extensions_and_init_names() {
    let cases = [
        ("live/a.m3u8", Class::Manifest),
        ("live/out.MPD", Class::Manifest),
        ("live/init.mp4", Class::Init),
        ("live/init-stream0.m4s", Class::Init),
        ("live/v_init.mp4", Class::Init),
        ("live/chunk-stream0-00001.m4s", Class::Segment),
        ("live/seg1.ts", Class::Segment),
        ("live/seg1.vtt", Class::Segment),
        ("live/key.key", Class::Other),
        ("poster", Class::Other),
    ];
    for (path, class) in cases {
        assert_eq!(Class::of(path), class, "{path}");
    }
}

const TWO_RULES: &str = "
apiVersion: mediaorigin.io/v1alpha1
kind: MediaOrigin
metadata: {name: live}
spec:
  tierPolicies:
  - name: ads
    match: {paths: ['live/*/ads/**']}
    cacheControl: no-store
    visibility: Complete
  - name: live
    match: {paths: ['live/**', '*.{m3u8,mpd}']}
    expireSeconds: 60
";

#[test]
fn the_first_rule_that_matches_wins_and_stars_stay_in_their_folder() {
    let policies = load::parse(TWO_RULES).unwrap().policies;
    for (path, rule) in [
        ("live/a/ads/x/1.ts", "ads"),
        ("live/ads/1.ts", "live"),
        ("top.m3u8", "live"),
        ("vod/top.m3u8", "built-in"),
        ("live", "built-in"),
    ] {
        assert_eq!(policies.treat(path).policy.name(), rule, "{path}");
    }
    let ad = policies.treat("live/a/ads/1.ts");
    assert_eq!((ad.class, ad.visibility), (Class::Segment, Visibility::Complete));
    assert_eq!(*ad.policy.cache_control(), CacheControl::Literal("no-store".to_owned()));
    assert_eq!(*policies.treat("live/1.ts").policy.cache_control(), CacheControl::Auto);
    assert_eq!(ad.cdn, CdnProfile::Generic);
    assert_eq!(policies.treat("live/a.m3u8").visibility, Visibility::Complete);
}

#[test]
fn all_problems_come_at_once_each_with_its_path() {
    let text = "
apiVersion: mediaorigin.io/v1alpha1
kind: MediaOrigin
metadata: {name: Live}
spec:
  replicas: 2
  memory: {limit: 64Mi}
  limits: {uploadIdleSeconds: 1, idleSeconds: 3}
  tierPolicies:
  - {name: a, match: {paths: [/live/**]}}
  - {name: a, match: {paths: ['live/[a']}, expireSeconds: 0}
  access: {cors: [{allowedOrigins: ['player.example']}]}
  service: {nodePort: 30080}
";
    let fields: Vec<String> =
        load::parse(text).unwrap_err().into_iter().map(|problem| problem.field).collect();
    let expected = [
        "spec.limits.idleSeconds",
        "metadata.name",
        "spec.replicas",
        "spec.memory.limit",
        "spec.limits.uploadIdleSeconds",
        "spec.tierPolicies[0].match.paths[0]",
        "spec.tierPolicies[1].name",
        "spec.tierPolicies[1].expireSeconds",
        "spec.tierPolicies[1].match.paths[0]",
        "spec.access.cors[0].allowedOrigins[0]",
        "spec.service.nodePort",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn unknown_fields_wrong_types_and_wrong_kinds_are_named() {
    let with = |spec: &str| {
        format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: a}}\nspec: {spec}\n"
        )
    };
    for (text, problem) in [
        (with("{memory: {limt: 2Gi}}"), "spec.memory.limt: unknown field"),
        (
            with("{tierPolicies: [{name: a, match: {paths: [a]}, ttl: 3}]}"),
            "spec.tierPolicies[0].ttl: unknown field",
        ),
        (with("{replicas: many}"), "spec.replicas: invalid type: string \"many\", expected i32"),
        (
            with("{service: {type: Ingress}}"),
            "spec.service.type: unknown variant `Ingress`, expected one of `ClusterIP`, `NodePort`, `LoadBalancer`",
        ),
        (
            "kind: Pod\napiVersion: v1\n".to_owned(),
            "apiVersion: \"v1\" is not supported, write mediaorigin.io/v1alpha1",
        ),
        (String::new(), "the file holds no MediaOrigin"),
    ] {
        let (_, problems) = document::parse(&text);
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [problem]);
    }
}

#[test]
fn a_configuration_round_trips_and_refuses_what_it_does_not_know() {
    let document = document::parse(TWO_RULES).0.remove(0);
    let config = crate::validate::validate(None, "live", &document.spec).unwrap().config(document.metadata);
    let text = serde_yaml::to_string(&config).unwrap();
    assert_eq!(load::parse(&text).unwrap().policies.names().collect::<Vec<_>>(), ["ads", "live", "built-in"]);
    let newer = text.replace("hot:", "hot:\n  shinyNewSetting: 3");
    let problems = load::parse(&newer).unwrap_err();
    assert_eq!(problems[0].to_string(), "hot.shinyNewSetting: unknown field");
}

#[test]
fn the_built_in_configuration_is_valid() {
    assert_eq!(load::built_in().unwrap().metadata.name, "default");
}

#[test]
fn an_object_size_beyond_the_budget_is_refused_unless_it_is_the_default() {
    let with = |limits: &str| {
        load::parse(&format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: a}}\nspec: {{memory: {{limit: 128Mi}}, limits: {limits}}}\n"
        ))
    };
    let resolved = with("{uploadIdleSeconds: 30}").unwrap();
    assert_eq!(resolved.policies.limits().object_bytes_max, resolved.budget.objects.get());
    assert_eq!(with("{objectSize: 90Mi}").unwrap_err()[0].field, "spec.limits.objectSize");
}

/// Proves CP-04: `MediaStore`'s limits of a CORS policy.
#[test]
fn cp_04_a_cors_policy_has_limits() {
    let parse = |rules: &str| {
        let text = format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: live}}\nspec: {{access: {{cors: [{rules}]}}}}\n"
        );
        load::parse(&text).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let rules = |count: usize| vec!["{allowedOrigins: ['*']}"; count].join(", ");
    assert!(parse(&rules(100)).is_ok());
    assert_eq!(parse(&rules(101)).unwrap_err(), ["spec.access.cors: 101 rules, 100 are possible"]);
    let headers = |field: &str, count: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("x-{number}")).collect();
        format!("{{allowedOrigins: ['*'], {field}: [{}]}}", names.join(", "))
    };
    for field in ["allowedHeaders", "exposeHeaders"] {
        assert!(parse(&headers(field, 100)).is_ok());
        assert!(
            parse(&headers(field, 101)).unwrap_err()[0]
                .starts_with(&format!("spec.access.cors[0].{field}: "))
        );
    }
    for (rule, at) in [
        ("{allowedOrigins: ['*'], allowedMethods: [PATCH]}", "spec.access.cors[0].allowedMethods[0]"),
        ("{allowedOrigins: ['*'], allowedMethods: []}", "spec.access.cors[0].allowedMethods"),
        ("{allowedOrigins: []}", "spec.access.cors[0].allowedOrigins"),
        ("{allowedOrigins: ['*'], maxAgeSeconds: -1}", "spec.access.cors[0].maxAgeSeconds"),
    ] {
        let problems = parse(rule).unwrap_err();
        assert!(problems[0].starts_with(&format!("{at}: ")), "{problems:?}");
    }
}

/// Proves CP-09: a transient object lives a second at least; longer than `MediaStore`'s 300 seconds is possible.
#[test]
fn cp_09_how_long_an_object_may_live() {
    let parse = |seconds: &str| {
        let rule = format!("{{name: t, match: {{paths: ['live/*.ts']}}, expireSeconds: {seconds}}}");
        let text = format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: live}}\nspec: {{tierPolicies: [{rule}]}}\n"
        );
        load::parse(&text).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    for seconds in ["1", "300", "301", "315360000"] {
        assert!(parse(seconds).is_ok(), "{seconds}");
    }
    for seconds in ["0", "-1", "315360001"] {
        let problems = parse(seconds).unwrap_err();
        assert!(problems[0].starts_with("spec.tierPolicies[0].expireSeconds: "), "{problems:?}");
    }
}
