//! Tags by which a CDN purges: one for each folder of a path, so a stream and each of its renditions have one.

use actix_web::http::header::{HeaderName, HeaderValue};
use mediaorigin_crds::policy::CdnProfile;

/// Characters of a tag at most: what Akamai takes; the others take more.
const TAG_LENGTH_MAX: usize = 128;
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
const EDGE_CACHE_TAG: HeaderName = HeaderName::from_static("edge-cache-tag");

/// The headers with the tags of what lies, or would lie, under `path`.
///
/// A path has at most 32 folders, so that no CDN's limit is reached (50 tags at CloudFront and Google, 128 at Akamai).
pub fn headers(path: &str, cdn: CdnProfile) -> Vec<(HeaderName, HeaderValue)> {
    let tags = tags(path);
    if tags.is_empty() {
        return Vec::new();
    }
    let names: &[(HeaderName, &str)] = match cdn {
        CdnProfile::Generic => &[(CACHE_TAG, ","), (SURROGATE_KEY, " ")],
        CdnProfile::CloudFront | CdnProfile::GoogleCdn => &[(CACHE_TAG, ",")],
        CdnProfile::Fastly => &[(SURROGATE_KEY, " ")],
        CdnProfile::Akamai => &[(EDGE_CACHE_TAG, ",")],
    };
    names
        .iter()
        .filter_map(|(name, between)| Some((name.clone(), HeaderValue::from_str(&tags.join(between)).ok()?)))
        .collect()
}

/// `live/ch1/720p/seg1.m4s` has `live`, `live.ch1` and `live.ch1.720p`. What Akamai refuses in a tag becomes `-`; two
/// folders may share a tag then, and a purge takes more than it must. One that is too long is left out.
fn tags(path: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut tag = String::new();
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        if !tag.is_empty() {
            tag.push('.');
        }
        let plain = |character: char| {
            if character.is_ascii_alphanumeric() || "-_.~+".contains(character) { character } else { '-' }
        };
        tag.extend(folder.chars().map(plain));
        if tag.len() > TAG_LENGTH_MAX {
            break;
        }
        tags.push(tag.clone());
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_a_tag_within_the_limits() {
        let cases: [(&str, &[&str]); 5] = [
            ("live/ch1/720p/seg1.m4s", &["live", "live.ch1", "live.ch1.720p"]),
            ("seg1.m4s", &[]),
            ("a b/c,d=é/x.ts", &["a-b", "a-b.c-d--"]),
            ("ok/a.b_c~d+e-f/x", &["ok", "ok.a.b_c~d+e-f"]),
            ("x/1", &["x"]),
        ];
        for (path, expected) in cases {
            assert_eq!(tags(path), expected, "{path}");
        }
        let deep = tags(&format!("{}x.ts", "abcdefgh/".repeat(32)));
        assert!(deep.iter().all(|tag| tag.len() <= TAG_LENGTH_MAX) && deep.len() == 14, "{deep:?}");
    }

    #[test]
    fn each_cdn_has_its_own_header() {
        let text = |cdn| {
            let headers = headers("live/a/1.ts", cdn);
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
        };
        let cases: [(CdnProfile, &[&str]); 5] = [
            (CdnProfile::Generic, &["cache-tag: live,live.a", "surrogate-key: live live.a"]),
            (CdnProfile::CloudFront, &["cache-tag: live,live.a"]),
            (CdnProfile::Fastly, &["surrogate-key: live live.a"]),
            (CdnProfile::Akamai, &["edge-cache-tag: live,live.a"]),
            (CdnProfile::GoogleCdn, &["cache-tag: live,live.a"]),
        ];
        for (cdn, expected) in cases {
            let lines: Vec<String> = text(cdn);
            assert_eq!(lines, expected);
        }
        assert!(headers("1.ts", CdnProfile::Generic).is_empty());
    }
}
