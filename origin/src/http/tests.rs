//! Tables and properties of the pure parts.

use std::time::Duration;

use mediaorigin_crds::load;
use proptest::prelude::*;

use super::evaluate::{Extent, Method, Preconditions, Target, VERY_LARGE, Verdict, evaluate, may_write};
use super::path::{FOLDERS_MAX, LENGTH_MAX, ObjectPath, PathError};
use super::range::Span;
use super::{app, cors, mime};

const ETAG: &str = "\"aa\"";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

/// Headers of a request.
type Given = &'static [(&'static str, &'static str)];

fn target(extent: Extent) -> Target<'static> {
    let modified = httpdate::parse_http_date(MODIFIED).unwrap() + Duration::from_millis(250);
    Target { etag: ETAG, modified, now: modified + Duration::from_mins(1), shares_second: false, extent }
}

fn get(headers: &[(&str, &'static str)], extent: Extent) -> Verdict {
    evaluate(Method::Get, &preconditions(headers), &target(extent))
}

fn preconditions(headers: &[(&str, &'static str)]) -> Preconditions<'static> {
    let value = |name: &str| headers.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
    Preconditions {
        if_match: value("if-match"),
        if_none_match: value("if-none-match"),
        if_modified_since: value("if-modified-since"),
        if_unmodified_since: value("if-unmodified-since"),
        if_range: value("if-range"),
        range: value("range"),
    }
}

fn part(first: u64, last: u64) -> Verdict {
    Verdict::Part(Span { first, last })
}

#[test]
fn preconditions_are_evaluated_in_the_order_of_rfc_9110() {
    let cases: [(Given, Verdict); 27] = [
        (&[], Verdict::Whole),
        (&[("if-none-match", "\"aa\"")], Verdict::NotModified),
        (&[("if-none-match", "W/\"aa\"")], Verdict::NotModified),
        (&[("if-none-match", "\"x,y\", \"aa\"")], Verdict::NotModified),
        (&[("if-none-match", "*")], Verdict::NotModified),
        (&[("if-none-match", "\"bb\"")], Verdict::Whole),
        (&[("if-none-match", "aa")], Verdict::Whole),
        (&[("if-modified-since", MODIFIED)], Verdict::NotModified),
        (&[("if-modified-since", LATER)], Verdict::NotModified),
        (&[("if-modified-since", EARLIER)], Verdict::Whole),
        (&[("if-modified-since", "yesterday")], Verdict::Whole),
        (&[("if-none-match", "\"bb\""), ("if-modified-since", LATER)], Verdict::Whole),
        (&[("if-match", "\"aa\"")], Verdict::Whole),
        (&[("if-match", "*")], Verdict::Whole),
        (&[("if-match", "W/\"aa\"")], Verdict::ConditionFailed),
        (&[("if-match", "\"bb\"")], Verdict::ConditionFailed),
        (&[("if-match", "\"bb\""), ("if-none-match", "\"aa\"")], Verdict::ConditionFailed),
        (&[("if-match", "\"aa\""), ("if-unmodified-since", EARLIER)], Verdict::Whole),
        (&[("if-unmodified-since", EARLIER)], Verdict::ConditionFailed),
        (&[("if-unmodified-since", MODIFIED)], Verdict::Whole),
        (&[("if-none-match", "\"aa\""), ("range", "bytes=0-1")], Verdict::NotModified),
        (&[("range", "bytes=0-1"), ("if-range", "\"aa\"")], part(0, 1)),
        (&[("range", "bytes=0-1"), ("if-range", "W/\"aa\"")], Verdict::Whole),
        (&[("range", "bytes=0-1"), ("if-range", "\"bb\"")], Verdict::Whole),
        (&[("range", "bytes=0-1"), ("if-range", MODIFIED)], part(0, 1)),
        (&[("range", "bytes=0-1"), ("if-range", LATER)], Verdict::Whole),
        (&[("range", "bytes=99-"), ("if-range", "\"bb\"")], Verdict::Whole),
    ];
    for (headers, verdict) in cases {
        assert_eq!(get(headers, Extent::Complete(10)), verdict, "{headers:?}");
    }
}

#[test]
fn a_date_is_no_strong_validator_within_the_second_of_a_write() {
    let modified = httpdate::parse_http_date(MODIFIED).unwrap();
    let target = Target { now: modified, modified, ..target(Extent::Complete(10)) };
    let headers = preconditions(&[("range", "bytes=0-1"), ("if-range", MODIFIED)]);
    assert_eq!(evaluate(Method::Get, &headers, &target), Verdict::Whole);
}

#[test]
fn a_date_does_not_tell_two_versions_of_one_second_apart() {
    let target = Target { shares_second: true, ..target(Extent::Complete(10)) };
    let cases: [(Given, Verdict); 4] = [
        (&[("if-modified-since", MODIFIED)], Verdict::Whole),
        (&[("if-modified-since", LATER)], Verdict::NotModified),
        (&[("range", "bytes=0-1"), ("if-range", MODIFIED)], Verdict::Whole),
        (&[("range", "bytes=0-1"), ("if-range", "\"aa\"")], part(0, 1)),
    ];
    for (headers, verdict) in cases {
        assert_eq!(evaluate(Method::Get, &preconditions(headers), &target), verdict, "{headers:?}");
    }
}

#[test]
fn ranges_of_a_complete_object() {
    let cases = [
        ("bytes=0-0", part(0, 0)),
        ("bytes=2-4", part(2, 4)),
        ("bytes=2-", part(2, 9)),
        ("bytes=-3", part(7, 9)),
        ("bytes=-30", part(0, 9)),
        ("bytes=5-99", part(5, 9)),
        ("bytes=0-9007199254740991", part(0, 9)),
        ("bytes=0-99999999999999999999999", part(0, 9)),
        ("Bytes = 0-1", part(0, 1)),
        ("bytes=0-1, 2-3", part(0, 3)),
        ("bytes=3-5,0-3,99-", part(0, 5)),
        ("bytes=0-1,4-5", Verdict::Whole),
        ("bytes=10-", Verdict::Unsatisfiable),
        ("bytes=-0", Verdict::Unsatisfiable),
        ("bytes=99-,50-60", Verdict::Unsatisfiable),
        ("bytes=4-2", Verdict::Whole),
        ("bytes=a-b", Verdict::Whole),
        ("bytes=", Verdict::Whole),
        ("bytes=-", Verdict::Whole),
        ("bytes=+1-2", Verdict::Whole),
        ("items=0-1", Verdict::Whole),
        ("bytes", Verdict::Whole),
        ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,0-1,0-2,0-3,0-4,0-5,0-6,0-7", Verdict::Whole),
    ];
    for (range, verdict) in cases {
        assert_eq!(get(&[("range", range)], Extent::Complete(10)), verdict, "{range}");
    }
    let headers = preconditions(&[("range", "bytes=0-1")]);
    assert_eq!(evaluate(Method::Head, &headers, &target(Extent::Complete(10))), Verdict::Whole);
}

#[test]
fn ranges_of_a_growing_object() {
    let cases = [
        ("bytes=0-", Verdict::Whole),
        ("bytes=-3", Verdict::Whole),
        ("bytes=0-9", part(0, 9)),
        ("bytes=0-10", Verdict::Wait(11)),
        ("bytes=20-29", Verdict::Wait(30)),
        ("bytes=3-9007199254740991", Verdict::Follow(3)),
        ("bytes=10-9007199254740991", Verdict::Wait(11)),
        ("bytes=0-1,1-4", part(0, 4)),
        ("bytes=0-1,5-6", Verdict::Whole),
        ("bytes=0-1,5-", Verdict::Whole),
    ];
    for (range, verdict) in cases {
        assert_eq!(get(&[("range", range)], Extent::Growing(10)), verdict, "{range}");
    }
    assert_eq!(VERY_LARGE, 9_007_199_254_740_991);
}

#[test]
fn conditions_of_a_write() {
    let current = Some((ETAG, httpdate::parse_http_date(MODIFIED).unwrap()));
    // The headers, and whether a write over something and over nothing may go on.
    let cases: [(Given, bool, bool); 9] = [
        (&[("if-none-match", "*")], false, true),
        (&[("if-match", "*")], true, false),
        (&[("if-match", "\"aa\"")], true, false),
        (&[("if-match", "\"bb\"")], false, false),
        // A writer may have read it compressed.
        (&[("if-match", "\"aa-gzip\"")], true, false),
        (&[("if-match", "\"bb-gzip\", \"aa-identity\"")], true, false),
        (&[("if-none-match", "\"aa-gzip\"")], false, true),
        (&[("if-unmodified-since", EARLIER)], false, true),
        (&[], true, true),
    ];
    for (headers, over_something, over_nothing) in cases {
        let headers = preconditions(headers);
        assert_eq!(may_write(&headers, current), over_something, "{headers:?}");
        assert_eq!(may_write(&headers, None), over_nothing, "{headers:?}");
    }
}

/// One range as text, and whether it holds a byte of an object of a length: the naive reading of the RFC.
fn naive(kind: u8, a: u64, b: u64) -> (String, Box<dyn Fn(u64, u64) -> bool>) {
    match kind {
        0 => (
            format!("{}-{}", a.min(b), a.max(b)),
            Box::new(move |byte, _| (a.min(b)..=a.max(b)).contains(&byte)),
        ),
        1 => (format!("{a}-"), Box::new(move |byte, _| byte >= a)),
        _ => (format!("-{a}"), Box::new(move |byte, length| byte + a >= length)),
    }
}

proptest! {
    #[test]
    fn a_complete_object_is_cut_as_a_naive_model_does(
        length in 0_u64..30,
        specs in prop::collection::vec((0_u8..3, 0_u64..40, 0_u64..40), 1..5),
    ) {
        let specs: Vec<_> = specs.into_iter().map(|(kind, a, b)| naive(kind, a, b)).collect();
        let text = format!("bytes={}", specs.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(","));
        let held = |byte: &u64| specs.iter().any(|(_, holds)| holds(*byte, length));
        let bytes: Vec<u64> = (0..length).filter(held).collect();
        let expected = match (bytes.first(), bytes.last()) {
            (Some(first), Some(last)) if last - first + 1 == bytes.len() as u64 => part(*first, *last),
            (Some(_), Some(_)) => Verdict::Whole,
            _ => Verdict::Unsatisfiable,
        };
        let headers = Preconditions { range: Some(&text), ..Preconditions::default() };
        prop_assert_eq!(evaluate(Method::Get, &headers, &target(Extent::Complete(length))), expected, "{}", text);
    }

    #[test]
    fn a_growing_object_never_gives_bytes_that_are_not_there(
        length in 0_u64..30,
        text in "bytes=([0-9]{0,2}-[0-9]{0,2},?){1,3}",
    ) {
        let headers = Preconditions { range: Some(&text), ..Preconditions::default() };
        match evaluate(Method::Get, &headers, &target(Extent::Growing(length))) {
            Verdict::Part(span) => prop_assert!(span.first <= span.last && span.last < length),
            Verdict::Wait(needed) => prop_assert!(needed > length),
            Verdict::Follow(first) => prop_assert!(first < length),
            verdict => prop_assert_eq!(verdict, Verdict::Whole),
        }
    }

    #[test]
    fn any_path_is_refused_or_has_one_spelling(raw in "(/|%2[eEfF]|%00|%5c|[a-z.%é]|\\.\\.){0,12}") {
        if let Ok(path) = ObjectPath::parse(&format!("/{raw}")) {
            let text = path.as_str();
            prop_assert!(text.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != ".."));
            prop_assert!(!text.contains(['\0', '\\']));
        }
    }
}

#[test]
fn paths_are_decoded_once_and_refused_where_they_are_ambiguous() {
    let ok = |path: &str| Ok(path.to_owned());
    let cases = [
        ("/live/a.ts", ok("live/a.ts")),
        ("/a%20b%3D%3Ac", ok("a b=:c")),
        ("/%2541", ok("%41")),
        ("/caf%C3%A9", ok("café")),
        ("/...", ok("...")),
        ("/a..b/.c", ok("a..b/.c")),
        ("/", Err(PathError::Folder)),
        ("/live/", Err(PathError::Folder)),
        ("*", Err(PathError::Relative)),
        ("/a//b", Err(PathError::Empty)),
        ("//a", Err(PathError::Empty)),
        ("/a/../b", Err(PathError::Dots)),
        ("/a/%2e%2E/b", Err(PathError::Dots)),
        ("/a/.", Err(PathError::Dots)),
        ("/..", Err(PathError::Dots)),
        ("/a%2fb", Err(PathError::Slash)),
        ("/a%5Cb", Err(PathError::Slash)),
        ("/a\\b", Err(PathError::Slash)),
        ("/a%00b", Err(PathError::Control)),
        ("/a%0d%0ab", Err(PathError::Control)),
        ("/a%7f", Err(PathError::Control)),
        ("/a%C2%85", Err(PathError::Control)),
        ("/a%ff", Err(PathError::Encoding)),
        ("/a%c0%ae", Err(PathError::Encoding)),
        ("/a%", Err(PathError::Percent)),
        ("/a%2", Err(PathError::Percent)),
        ("/a%zz", Err(PathError::Percent)),
        ("/a%+1", Err(PathError::Percent)),
    ];
    for (raw, expected) in cases {
        assert_eq!(ObjectPath::parse(raw).map(|path| path.as_str().to_owned()), expected, "{raw}");
    }
}

#[test]
fn paths_have_limits() {
    let long = |length: usize| ObjectPath::parse(&format!("/{}", "é".repeat(length))).err();
    assert_eq!((long(LENGTH_MAX), long(LENGTH_MAX + 1)), (None, Some(PathError::Long)));
    let deep = |folders: usize| ObjectPath::parse(&format!("/{}x", "f/".repeat(folders))).err();
    assert_eq!((deep(FOLDERS_MAX), deep(FOLDERS_MAX + 1)), (None, Some(PathError::Deep)));
}

#[test]
fn types_follow_the_extension_where_the_encoder_says_nothing() {
    let cases = [
        ("a.m3u8", None, "application/vnd.apple.mpegurl"),
        ("a.MPD", None, "application/dash+xml"),
        ("a.m4s", None, "video/iso.segment"),
        ("a.mp4", None, "video/mp4"),
        ("a.cmfv", None, "video/mp4"),
        ("a.cmfa", None, "audio/mp4"),
        ("a.m4a", None, "audio/mp4"),
        ("a.cmft", None, "application/mp4"),
        ("a.cmfm", None, "application/mp4"),
        ("a.init", None, "video/mp4"),
        ("a.header", None, "video/mp4"),
        ("a.ts", None, "video/mp2t"),
        ("a.vtt", None, "text/vtt"),
        ("a.key", None, "application/octet-stream"),
        ("x/a.m4s", Some("application/octet-stream"), "video/iso.segment"),
        ("a.m3u8", Some("application/x-www-form-urlencoded"), "application/vnd.apple.mpegurl"),
        ("a.m3u8", Some("application/x-mpegURL; charset=utf-8"), "application/x-mpegURL; charset=utf-8"),
        ("noextension", None, "application/octet-stream"),
        ("dir.ts/file", None, "application/octet-stream"),
        ("a.unknown", Some("model/obj"), "model/obj"),
    ];
    for (path, given, expected) in cases {
        assert_eq!(mime::content_type(path, given), expected, "{path} {given:?}");
    }
}

#[test]
fn the_first_cors_rule_that_matches_wins() {
    let text = "
apiVersion: mediaorigin.io/v1alpha1
kind: MediaOrigin
metadata: {name: cors}
spec:
  access:
    cors:
    - {allowedOrigins: [\"https://a.example\"], allowedMethods: [GET, PUT], allowedHeaders: [Range], exposeHeaders: [ETag]}
    - {allowedOrigins: [\"*\"], maxAgeSeconds: 5}
";
    let resolved = load::parse(text).unwrap();
    let rules = resolved.policies.cors();
    let find = |headers: &cors::Headers, name: &str| {
        headers.iter().find(|(given, _)| *given == name).map(|(_, value)| value.clone())
    };
    let allowed = |origin: Option<&str>, method: &str| {
        let headers = cors::headers(rules, origin, method);
        assert_eq!(find(&headers, "vary"), Some("Origin".to_owned()));
        find(&headers, "access-control-allow-origin")
    };
    assert_eq!(allowed(None, "GET"), None);
    assert_eq!(allowed(Some("https://a.example"), "GET"), Some("https://a.example".to_owned()));
    assert_eq!(allowed(Some("https://b.example"), "GET"), Some("*".to_owned()));
    assert_eq!(allowed(Some("https://a.example"), "POST"), Some("https://a.example".to_owned()));
    assert_eq!(allowed(Some("https://b.example"), "PUT"), None);
    let preflight = |origin: &str, method: &str, wanted| cors::preflight(rules, origin, method, wanted);
    assert!(preflight("https://a.example", "GET", Some("range")).is_some());
    let next = preflight("https://a.example", "GET", Some("range, x-other")).unwrap();
    assert_eq!(
        find(&next, "access-control-allow-origin"),
        Some("*".to_owned()),
        "the first rule does not take x-other"
    );
    assert_eq!(preflight("https://a.example", "PUT", Some("x-other")), None);
    assert_eq!(preflight("null", "PUT", None), None);
    assert_eq!(preflight("https://b.example", "DELETE", None), None);
    let open = preflight("https://b.example", "GET", Some("X-Any")).unwrap();
    assert_eq!(find(&open, "access-control-allow-headers"), Some("X-Any".to_owned()));
    assert_eq!(find(&open, "access-control-max-age"), Some("5".to_owned()));
}

/// What answers a request is moved before it runs: room for what only fleets and tiers need lies elsewhere.
#[test]
fn the_future_of_a_request_is_small() {
    fn size<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }
    let bytes = size(app::handle);
    assert!(bytes <= 1_024, "{bytes}");
}
