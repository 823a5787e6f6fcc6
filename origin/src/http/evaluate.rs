//! Preconditions and ranges: one pure function decides for every path that answers a GET.
//!
//! The order is that of RFC 9110 §13.2.2. A malformed `Range`, or one of another unit, is ignored. Several ranges are
//! merged: where one remains it is served, where more remain the whole object is (never multipart). An object that is
//! being written has no length yet: a range that ends within it is served, one that ends behind it waits, one without an
//! end is ignored unless it has the form of RFC 8673, one from the end is ignored.

use std::time::{Duration, SystemTime};

use super::range::{self, Span};
use crate::memory::derived::Coding;

/// Last byte position that asks for a growing object to be followed (RFC 8673, LL-HLS): 2^53 − 1.
pub const VERY_LARGE: u64 = (1 << 53) - 1;
/// A `Last-Modified` of this age is a strong validator (RFC 9110 §8.8.2.2): a version written right after it differs.
const STRONG_DATE_AGE: Duration = Duration::from_secs(1);

/// The headers that matter, as they came; several lines of one name are joined by a comma.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preconditions<'a> {
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
    /// `Range`.
    pub range: Option<&'a str>,
}

/// How a representation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// With its bytes.
    Get,
    /// Without; ranges are ignored.
    Head,
}

/// The representation that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its strong `ETag`, with quotes.
    pub etag: &'a str,
    /// Its `Last-Modified`.
    pub modified: SystemTime,
    /// The time of the request.
    pub now: SystemTime,
    /// Whether another version may have had the same `Last-Modified`: header dates have no fractions.
    pub shares_second: bool,
    /// How much of it there is.
    pub extent: Extent,
}

/// How much there is of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All: so many bytes.
    Complete(u64),
    /// So many bytes until now.
    Growing(u64),
}

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 200 with everything.
    Whole,
    /// 206 with these bytes.
    Part(Span),
    /// 206 with everything from this byte on, as it is written.
    Follow(u64),
    /// Wait until there are so many bytes, or until it is complete, and ask again.
    Wait(u64),
    /// 304.
    NotModified,
    /// 412.
    ConditionFailed,
    /// 416.
    Unsatisfiable,
}

/// Decides what to answer.
pub fn evaluate(method: Method, headers: &Preconditions<'_>, target: &Target<'_>) -> Verdict {
    if !may_proceed(headers, target) {
        return Verdict::ConditionFailed;
    }
    if is_current(headers, target) {
        return Verdict::NotModified;
    }
    match (method, headers.range) {
        (Method::Get, Some(text)) if range_applies(headers.if_range, target) => ranged(text, target.extent),
        _ => Verdict::Whole,
    }
}

/// Whether a PUT or DELETE may go on over `current`, the `ETag` and `Last-Modified` of what is there.
pub fn may_write(headers: &Preconditions<'_>, current: Option<(&str, SystemTime)>) -> bool {
    let matches = match (headers.if_match, current) {
        (Some(list), Some((etag, _))) => lists_version(list, etag, Comparison::Strong),
        (Some(_), None) => false,
        (None, current) => match (headers.if_unmodified_since.and_then(date), current) {
            (Some(date), Some((_, modified))) => seconds(modified) <= seconds(date),
            _ => true,
        },
    };
    let none_matches = match (headers.if_none_match, current) {
        (Some(list), Some((etag, _))) => !lists_version(list, etag, Comparison::Weak),
        _ => true,
    };
    matches && none_matches
}

fn may_proceed(headers: &Preconditions<'_>, target: &Target<'_>) -> bool {
    match (headers.if_match, headers.if_unmodified_since.and_then(date)) {
        (Some(list), _) => lists(list, target.etag, Comparison::Strong),
        (None, Some(date)) => seconds(target.modified) <= seconds(date),
        (None, None) => true,
    }
}

fn is_current(headers: &Preconditions<'_>, target: &Target<'_>) -> bool {
    match (headers.if_none_match, headers.if_modified_since.and_then(date)) {
        (Some(list), _) => lists(list, target.etag, Comparison::Weak),
        (None, Some(date)) if target.shares_second => seconds(target.modified) < seconds(date),
        (None, Some(date)) => seconds(target.modified) <= seconds(date),
        (None, None) => false,
    }
}

fn range_applies(if_range: Option<&str>, target: &Target<'_>) -> bool {
    let Some(text) = if_range.map(str::trim) else { return true };
    if text.starts_with('"') || text.starts_with("W/") {
        return text == target.etag;
    }
    if target.shares_second {
        return false;
    }
    let age = target.now.duration_since(target.modified).unwrap_or_default();
    date(text).is_some_and(|date| seconds(date) == seconds(target.modified)) && age >= STRONG_DATE_AGE
}

fn ranged(text: &str, extent: Extent) -> Verdict {
    let Some(specs) = range::parse(text) else { return Verdict::Whole };
    match extent {
        Extent::Complete(length) => {
            let spans = range::merge(specs.iter().filter_map(|spec| spec.within(length)).collect());
            match spans.as_slice() {
                [] => Verdict::Unsatisfiable,
                [span] => Verdict::Part(*span),
                _ => Verdict::Whole,
            }
        }
        Extent::Growing(length) => growing(&specs, length),
    }
}

fn growing(specs: &[range::Spec], length: u64) -> Verdict {
    let closed: Option<Vec<Span>> = specs.iter().map(|spec| spec.closed()).collect();
    let Some(spans) = closed.map(range::merge) else { return Verdict::Whole };
    match spans.as_slice() {
        [Span { first, last }] if *last >= VERY_LARGE && *first < length => Verdict::Follow(*first),
        [Span { first, last }] if *last >= VERY_LARGE => Verdict::Wait(first.saturating_add(1)),
        [span] if span.last < length => Verdict::Part(*span),
        [span] => Verdict::Wait(span.last.saturating_add(1)),
        _ => Verdict::Whole,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether `list` has the version with `etag`, in any coding that a reader may have been given.
fn lists_version(list: &str, etag: &str, comparison: Comparison) -> bool {
    let coded = |coding: &str| format!("{}-{coding}\"", etag.trim_end_matches('"'));
    lists(list, etag, comparison)
        || [Coding::Gzip, Coding::Identity]
            .iter()
            .any(|coding| lists(list, &coded(coding.as_str()), comparison))
}

/// Whether `list`, `*` or entity tags with commas between them, has `etag`.
fn lists(list: &str, etag: &str, comparison: Comparison) -> bool {
    // `*` twice, or among tags, is malformed; taken as `*` a create-only upload stays one.
    if list.split(',').any(|item| item.trim() == "*") {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let weak = rest.strip_prefix("W/");
        let Some(inner) = weak.unwrap_or(rest).strip_prefix('"') else { return false };
        let Some((tag, behind)) = inner.split_once('"') else { return false };
        let same = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')) == Some(tag);
        if same && (weak.is_none() || comparison == Comparison::Weak) {
            return true;
        }
        rest = behind;
    }
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

/// Header dates have no fractions.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
