//! How long caches may keep an answer, and in which words the CDN in front understands it.
//!
//! The numbers are what CDNs' and packagers' guides agree on: a manifest lives for half the time until the next one, a
//! numbered segment that was never overwritten does not change under its name (RFC 8246), an init segment may be replaced
//! by a restarted encoder, what is not there yet is asked for again soon, what is gone stays gone. Without a lifetime of
//! its own a 404 lives two minutes in Google's CDN: an outage.

use actix_web::http::header::{self, HeaderName, HeaderValue};
use mediaorigin_crds::policy::{CacheControl, CdnProfile, Class, Treatment};

use crate::numbering::numbered;
use crate::pace::Pace;

/// Seconds: a segment that never changes.
const FOREVER: u64 = 86_400;
/// Seconds: what may be replaced under its name at any time, though it seldom is.
const INIT: u64 = 60;
const OTHER: u64 = 10;
/// Seconds: the longest and the shortest life of a manifest. HTTP knows no fractions.
const MANIFEST_MAX: u64 = 60;
const MANIFEST_MIN: u64 = 1;
/// Seconds: what is not there, or not yet. Shorter than any segment, so that a player that is early waits for one retry; and
/// only where many share it: a browser that keeps it for a second gives its player nothing else for as long, and a player
/// at the live edge is early by milliseconds.
const MISSING: u64 = 1;
/// Seconds: what is not there and is no media.
const MISSING_OTHER: u64 = 10;
/// Seconds: a segment whose time is over never comes back.
const GONE: u64 = 3_600;
/// Seconds: an error of the origin. Short, so that nobody sees it longer than it lasts; no jitter is needed, because CDNs
/// collapse requests for one object.
const FAILURE: u64 = 1;
/// Seconds: what has to wait because there is too much to do. Long enough that a CDN does not ask for it again while it has to.
const SHED: u64 = 5;

const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What is known of an object beside its path and class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How often it changes, where it is a manifest.
    pub pace: Pace,
    /// Whether it replaced other bytes: its name is not that of one content then.
    pub overwrote: bool,
}

/// How long an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    /// So many seconds.
    Fresh(u64),
    /// So many seconds, and it is not asked for again before.
    Immutable(u64),
    /// So many seconds in a cache that many share; a browser asks each time.
    Shared(u64),
    /// Not at all.
    NoStore,
}

/// The headers of an answer with the object under `path`; `stored` is the `Cache-Control` that came with it.
pub fn object(
    treatment: &Treatment<'_>,
    path: &str,
    stored: Option<&str>,
    facts: Facts,
) -> Vec<(HeaderName, HeaderValue)> {
    match (treatment.policy.cache_control(), stored) {
        (CacheControl::Literal(value), _) => literal(value),
        (CacheControl::AsStored | CacheControl::Auto, Some(value)) => literal(value),
        (CacheControl::AsStored, None) => Vec::new(),
        (CacheControl::Auto, None) => worded(lifetime(treatment.class, path, facts), treatment),
    }
}

/// The headers of an answer that there is nothing under a path, or nothing yet.
pub fn missing(treatment: &Treatment<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let lifetime = match (treatment.class, treatment.cdn) {
        (Class::Other, _) => Lifetime::Fresh(MISSING_OTHER),
        // CloudFront keeps an error that may be kept for its own minimum, ten seconds.
        (_, CdnProfile::CloudFront) => Lifetime::NoStore,
        _ => Lifetime::Shared(MISSING),
    };
    worded(lifetime, treatment)
}

/// The headers of an answer that the time of what lay under `path` is over.
pub fn gone(treatment: &Treatment<'_>, path: &str) -> Vec<(HeaderName, HeaderValue)> {
    match treatment.class {
        Class::Segment | Class::Part if numbered(path).is_some() => worded(Lifetime::Fresh(GONE), treatment),
        // The next stream of that name has it again.
        _ => missing(treatment),
    }
}

/// The headers of an answer that the origin cannot do what it should.
pub fn failure(cdn: CdnProfile) -> HeaderValue {
    match cdn {
        CdnProfile::CloudFront => word(Lifetime::NoStore),
        _ => word(Lifetime::Fresh(FAILURE)),
    }
}

/// The headers of an answer that what is asked for has to wait.
pub fn shed(cdn: CdnProfile) -> HeaderValue {
    match cdn {
        CdnProfile::CloudFront => word(Lifetime::NoStore),
        _ => word(Lifetime::Fresh(SHED)),
    }
}

fn lifetime(class: Class, path: &str, facts: Facts) -> Lifetime {
    match class {
        Class::Manifest => Lifetime::Fresh(match facts.pace {
            Pace::Every(period) => (period.as_secs() / 2).clamp(MANIFEST_MIN, MANIFEST_MAX),
            Pace::Unknown | Pace::LowLatency => MANIFEST_MIN,
            Pace::Multivariant => OTHER,
            Pace::Ended => MANIFEST_MAX,
        }),
        Class::Init => Lifetime::Fresh(INIT),
        Class::Segment | Class::Part if numbered(path).is_some() && !facts.overwrote => {
            Lifetime::Immutable(FOREVER)
        }
        Class::Segment | Class::Part | Class::Other => Lifetime::Fresh(OTHER),
    }
}

/// `Cache-Control`, and the same for the CDN alone where it has a header for that: there it outlives an error of ours.
fn worded(lifetime: Lifetime, treatment: &Treatment<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![(header::CACHE_CONTROL, word(lifetime))];
    let targeted = match treatment.cdn {
        CdnProfile::Fastly => SURROGATE_CONTROL,
        CdnProfile::Akamai => CDN_CACHE_CONTROL,
        CdnProfile::Generic | CdnProfile::CloudFront | CdnProfile::GoogleCdn => return headers,
    };
    let value = match lifetime {
        Lifetime::Fresh(seconds) | Lifetime::Immutable(seconds) | Lifetime::Shared(seconds) => {
            format!("max-age={seconds}, stale-if-error={seconds}")
        }
        Lifetime::NoStore => "no-store".to_owned(),
    };
    headers.extend(HeaderValue::from_str(&value).map(|value| (targeted, value)));
    headers
}

fn word(lifetime: Lifetime) -> HeaderValue {
    let text = match lifetime {
        Lifetime::Fresh(seconds) => format!("public, max-age={seconds}"),
        Lifetime::Immutable(seconds) => format!("public, max-age={seconds}, immutable"),
        Lifetime::Shared(seconds) => format!("public, max-age=0, s-maxage={seconds}"),
        Lifetime::NoStore => "no-store".to_owned(),
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("no-store"))
}

fn literal(value: &str) -> Vec<(HeaderName, HeaderValue)> {
    HeaderValue::from_str(value).map(|value| (header::CACHE_CONTROL, value)).into_iter().collect()
}

#[cfg(test)]
mod tests;
