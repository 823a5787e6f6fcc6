//! Requests that real SDKs put on the wire, AWS's own example, and what must not pass.

use std::time::{Duration, SystemTime};

use super::{Refusal, canonical, claim, signing_key};
use crate::http::view::sample::Sample;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

impl Sample {
    fn verify(&self, secret: &str, now: SystemTime) -> Result<(), Refusal> {
        claim(self).expect("signed")?.verify(self, secret, now)
    }
}

fn captured() -> Vec<Sample> {
    let texts = include_str!("captured.txt").split("\n\n").filter(|text| !text.starts_with('#'));
    let samples: Vec<Sample> = texts.map(Sample::parse).collect();
    assert_eq!(samples.len(), 12);
    samples
}

/// Within five minutes of every sample.
fn now() -> SystemTime {
    canonical::time("20261121T140300Z").unwrap()
}

/// Proves MS-01, MS-23: boto3, the JavaScript and the Go SDK, both kinds of bodies, odd paths, two leading slashes, a presigned URL.
#[test]
fn ms_01_what_sdks_sign_is_accepted() {
    for sample in captured() {
        assert_eq!(sample.verify(SECRET, now()), Ok(()), "{} {}", sample.method, sample.target);
    }
}

/// Proves MS-27.
#[test]
fn ms_27_another_secret_and_a_changed_request_are_not() {
    for mut sample in captured() {
        let target = sample.target.clone();
        assert_eq!(sample.verify("another", now()), Err(Refusal::Mismatch), "{target}");
        sample.target = target.replace("live", "dead");
        assert_eq!(sample.verify(SECRET, now()), Err(Refusal::Mismatch), "{target}");
        sample.target = target;
        sample.set("host", "other.example");
        assert_eq!(sample.verify(SECRET, now()), Err(Refusal::Mismatch), "{}", sample.target);
    }
}

/// A digest that belongs to another body makes another signature.
#[test]
fn ms_24_the_digest_is_part_of_the_signature() {
    let mut samples = captured();
    let sample =
        samples.iter_mut().find(|sample| sample.headers.contains_key("x-amz-content-sha256")).unwrap();
    sample.set("x-amz-content-sha256", &"0".repeat(64));
    assert_eq!(sample.verify(SECRET, now()), Err(Refusal::Mismatch));
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    let sample = &captured()[0];
    let signed = canonical::time("20261121T135923Z").unwrap();
    let five = Duration::from_mins(5);
    let second = Duration::from_secs(1);
    for (now, expected) in [
        (signed + five, Ok(())),
        (signed - five, Ok(())),
        (signed + five + second, Err(Refusal::Skewed)),
        (signed - five - second, Err(Refusal::Skewed)),
    ] {
        assert_eq!(sample.verify(SECRET, now), expected);
    }
}

#[test]
fn presigned_urls_last_as_long_as_they_say() {
    let sample = captured().pop().unwrap();
    let signed = canonical::time("20261121T135925Z").unwrap();
    let second = Duration::from_secs(1);
    assert_eq!(sample.verify(SECRET, signed + 600 * second), Ok(()));
    assert_eq!(sample.verify(SECRET, signed + 601 * second), Err(Refusal::Expired));
    assert_eq!(sample.verify(SECRET, signed - 301 * second), Err(Refusal::Skewed));
    for expires in ["604801", "0", "-1", "x", ""] {
        let target = sample.target.replace("Expires=600", &format!("Expires={expires}"));
        let other = Sample { target, headers: sample.headers.clone(), method: sample.method.clone() };
        assert!(matches!(other.verify(SECRET, signed), Err(Refusal::Incomplete(_))), "{expires}");
    }
}

#[test]
fn what_is_incomplete_is_named() {
    let good =
        "AWS4-HMAC-SHA256 Credential=K/20261121/r/mediastore/aws4_request, SignedHeaders=host, Signature=";
    let digits = "0".repeat(64);
    let cases = [
        ("AWS4-HMAC-SHA256 nonsense".to_owned(), "Credential"),
        (format!("{good}12"), "Signature has 64"),
        (format!("{good}{digits}").replace("mediastore", "s3"), "Credential is KEY/"),
        (format!("{good}{digits}").replace("K/2026", "K/2025"), "another one"),
        (format!("{good}{digits}").replace("SignedHeaders=host", "SignedHeaders=range"), "must name host"),
        (format!("{good}{digits}").replace("SignedHeaders=host", "SignedHeaders=host;range"), "is not there"),
        (format!("{good}{digits}").replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256-X "), "Credential"),
    ];
    for (authorization, expected) in cases {
        let mut sample = Sample::parse("GET /a HTTP/1.1\nHost: o\nx-amz-date: 20261121T140300Z");
        sample.set("authorization", &authorization);
        let refusal = sample.verify(SECRET, now()).unwrap_err();
        assert!(refusal.to_string().contains(expected), "{authorization}: {refusal}");
    }
    let mut sample = Sample::parse("GET /a HTTP/1.1\nHost: o");
    sample.set("authorization", &format!("{good}{digits}"));
    assert_eq!(sample.verify(SECRET, now()), Err(Refusal::Incomplete("x-amz-date")));
}

/// The key of AWS's documented example (service `iam`).
#[test]
fn the_signing_key_is_that_of_the_documentation() {
    let key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam");
    assert_eq!(key.to_string(), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
}

#[test]
fn times_are_read() {
    let seconds = |text| Some(canonical::time(text)?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs());
    assert_eq!(seconds("19700101T000000Z"), Some(0));
    assert_eq!(seconds("20000229T235959Z"), Some(951_868_799));
    assert_eq!(seconds("20261121T140400Z"), Some(1_795_269_840));
    for text in [
        "",
        "20261121T140400",
        "20261321T140400Z",
        "2026-11-21T14:04Z",
        "+0261121T140400Z",
        "00000101T000000Z",
    ] {
        assert_eq!(seconds(text), None, "{text}");
    }
}
