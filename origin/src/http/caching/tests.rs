//! Lifetimes by class, and their wording by CDN.

use std::time::Duration;

use mediaorigin_crds::load;
use mediaorigin_crds::policy::Policies;

use super::*;

/// Header lines.
type Lines = &'static [&'static str];

fn policies(spec: &str) -> Policies {
    let text = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: x}}\nspec: {{{spec}}}\n"
    );
    load::parse(&text).unwrap().policies
}

fn lines(headers: Vec<(HeaderName, HeaderValue)>) -> Vec<String> {
    headers.into_iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

#[test]
fn lifetimes_by_class() {
    let every = |seconds| Facts { pace: Pace::Every(Duration::from_secs(seconds)), overwrote: false };
    let pace = |pace| Facts { pace, overwrote: false };
    let overwrote = Facts { overwrote: true, ..Facts::default() };
    let known = Facts::default();
    let cases = [
        ("live/a.m3u8", every(6), "public, max-age=3"),
        ("live/a.m3u8", every(2), "public, max-age=1"),
        ("live/a.m3u8", every(1), "public, max-age=1"),
        ("live/a.mpd", every(500), "public, max-age=60"),
        ("live/a.mpd", every(5), "public, max-age=2"),
        ("live/a.m3u8", known, "public, max-age=1"),
        ("live/a.m3u8", pace(Pace::LowLatency), "public, max-age=1"),
        ("live/a.m3u8", pace(Pace::Multivariant), "public, max-age=10"),
        ("live/a.m3u8", pace(Pace::Ended), "public, max-age=60"),
        ("live/1.m4s", known, "public, max-age=86400, immutable"),
        ("live/1.m4s", overwrote, "public, max-age=10"),
        ("live/whole.ts", known, "public, max-age=10"),
        ("live/init-0.mp4", known, "public, max-age=60"),
        ("live/x.key", known, "public, max-age=10"),
    ];
    let policies = policies("");
    for (path, facts, expected) in cases {
        let found = lines(object(&policies.treat(path), path, None, facts));
        assert_eq!(found, [format!("cache-control: {expected}")], "{path} {facts:?}");
    }
}

#[test]
fn every_cdn_is_told_in_its_own_words() {
    let cases: [(&str, Lines, Lines, Lines, &str); 5] = [
        (
            "Generic",
            &["cache-control: public, max-age=86400, immutable"],
            &["cache-control: public, max-age=0, s-maxage=1"],
            &["cache-control: public, max-age=3600"],
            "public, max-age=1",
        ),
        (
            "CloudFront",
            &["cache-control: public, max-age=86400, immutable"],
            &["cache-control: no-store"],
            &["cache-control: public, max-age=3600"],
            "no-store",
        ),
        (
            "Fastly",
            &[
                "cache-control: public, max-age=86400, immutable",
                "surrogate-control: max-age=86400, stale-if-error=86400",
            ],
            &[
                "cache-control: public, max-age=0, s-maxage=1",
                "surrogate-control: max-age=1, stale-if-error=1",
            ],
            &["cache-control: public, max-age=3600", "surrogate-control: max-age=3600, stale-if-error=3600"],
            "public, max-age=1",
        ),
        (
            "Akamai",
            &[
                "cache-control: public, max-age=86400, immutable",
                "cdn-cache-control: max-age=86400, stale-if-error=86400",
            ],
            &[
                "cache-control: public, max-age=0, s-maxage=1",
                "cdn-cache-control: max-age=1, stale-if-error=1",
            ],
            &["cache-control: public, max-age=3600", "cdn-cache-control: max-age=3600, stale-if-error=3600"],
            "public, max-age=1",
        ),
        (
            "GoogleCdn",
            &["cache-control: public, max-age=86400, immutable"],
            &["cache-control: public, max-age=0, s-maxage=1"],
            &["cache-control: public, max-age=3600"],
            "public, max-age=1",
        ),
    ];
    for (name, segment, early, late, error) in cases {
        let policies = policies(&format!("cdnProfile: {name}"));
        let treatment = policies.treat("live/1.m4s");
        assert_eq!(lines(object(&treatment, "live/1.m4s", None, Facts::default())), segment, "{name}");
        assert_eq!(lines(missing(&treatment)), early, "{name}");
        assert_eq!(lines(gone(&treatment, "live/1.m4s")), late, "{name}");
        assert_eq!(lines(gone(&treatment, "live/whole.m4s")), early, "{name}");
        assert_eq!(failure(policies.cdn()), error, "{name}");
        assert_eq!(lines(missing(&policies.treat("x.png")))[..1], ["cache-control: public, max-age=10"]);
    }
}

#[test]
fn what_a_rule_or_the_upload_says_comes_first() {
    let rules = "tierPolicies: [{name: a, match: {paths: ['a/**']}, cacheControl: no-cache},
        {name: s, match: {paths: ['s/**']}, cacheControl: AsStored}], cdnProfile: Fastly";
    let policies = policies(rules);
    let found = |path: &str, stored| lines(object(&policies.treat(path), path, stored, Facts::default()));
    assert_eq!(found("a/1.ts", Some("max-age=9")), ["cache-control: no-cache"]);
    assert_eq!(found("s/1.ts", Some("max-age=9")), ["cache-control: max-age=9"]);
    assert_eq!(found("x/1.ts", Some("max-age=9")), ["cache-control: max-age=9"]);
    assert!(found("s/1.ts", None).is_empty());
}
