//! The canonical request: one spelling of what was signed.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use actix_web::http::Method;
use actix_web::http::header::HeaderName;

use super::Refusal;
use crate::digest::Digest;
use crate::http::path::encode;
use crate::http::view::RequestView;

/// The header with the digest of the body.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("x-amz-content-sha256");
/// In place of a digest: the body is not signed.
pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Every canonical form that a client may have signed: SDKs do not agree on empty path segments (most drop them), and a
/// presigned URL may or may not speak of its body.
pub(super) fn requests(
    request: &impl RequestView,
    signed: &[HeaderName],
    in_header: bool,
) -> Result<Vec<String>, Refusal> {
    let names: Vec<&str> = signed.iter().map(HeaderName::as_str).collect();
    let (headers, names) = (headers(request, signed)?, names.join(";"));
    let query = query(request.query().unwrap_or_default());
    let mut forms = Vec::with_capacity(4);
    for path in paths(request.path()) {
        for payload in payloads(request, in_header)? {
            forms.push(format!("{}\n{path}\n{query}\n{headers}\n{names}\n{payload}", request.method()));
        }
    }
    Ok(forms)
}

/// A header as it is signed: its lines with a comma between them, runs of spaces as one.
pub(super) fn header(request: &impl RequestView, name: &HeaderName) -> Option<String> {
    let lines = request.lines(name).filter_map(|line| std::str::from_utf8(line).ok());
    let lines: Vec<String> =
        lines.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

fn headers(request: &impl RequestView, signed: &[HeaderName]) -> Result<String, Refusal> {
    let mut text = String::new();
    for name in signed {
        let value = header(request, name).ok_or(Refusal::Incomplete("a signed header is not there"))?;
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}:{value}");
    }
    Ok(text)
}

fn payloads(request: &impl RequestView, in_header: bool) -> Result<Vec<String>, Refusal> {
    let nothing = || Digest::of(b"").to_string();
    match header(request, &CONTENT_DIGEST) {
        Some(digest) => Ok(vec![digest]),
        None if !in_header => Ok(vec![nothing(), UNSIGNED.to_owned()]),
        None if [Method::PUT.as_str(), Method::POST.as_str()].contains(&request.method()) => {
            Err(Refusal::Incomplete("an upload needs x-amz-content-sha256"))
        }
        None => Ok(vec![nothing()]),
    }
}

/// The path of the target, encoded once more; without its empty segments, and with them where it has some.
fn paths(raw: &str) -> Vec<String> {
    let mut paths = vec![encode(raw.as_bytes(), b"/")];
    if raw.contains("//") {
        let segments: Vec<&str> = raw.split('/').filter(|segment| !segment.is_empty()).collect();
        let end = if raw.ends_with('/') { "/" } else { "" };
        paths.insert(0, encode(format!("/{}{end}", segments.join("/")).as_bytes(), b"/"));
    }
    paths
}

/// Names and values of a query, decoded, in the order in which they came.
pub(crate) fn parameters(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn query(raw: &str) -> String {
    let all = parameters(raw).into_iter().filter(|(name, _)| name != b"X-Amz-Signature");
    let mut pairs: Vec<(String, String)> =
        all.map(|(name, value)| (encode(&name, b""), encode(&value, b""))).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// `%XX` as bytes; what is no such thing stays.
fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(escaped)) if *byte == b'%' => {
                decoded.push(escaped);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

/// `YYYYMMDDThhmmssZ`.
pub(super) fn time(text: &str) -> Option<SystemTime> {
    let digits = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten()
    };
    if text.len() != 16 || text.get(8..9)? != "T" || !text.ends_with('Z') {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
    let (hour, minute, second) = (digits(9..11)?, digits(11..13)?, digits(13..15)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, by years that begin in March.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days from 0000-03-01 to 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}
