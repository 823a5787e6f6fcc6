//! The Rust SDK's `MediaStore` client against a running origin: one line per check, and their number at the end.
//!
//! `ENDPOINT`, `ACCESS_KEY_ID`, `SECRET_ACCESS_KEY`; `SIGNED` is 1 where the origin knows these keys, 0 where it lets everybody write.

use std::env::var;
use std::process::exit;

use aws_sdk_mediastoredata::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_mediastoredata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_mediastoredata::primitives::ByteStream;
use aws_sdk_mediastoredata::types::UploadAvailability;
use aws_sdk_mediastoredata::{Client, Config};

struct Checks(usize);

impl Checks {
    fn check(&mut self, name: &str, holds: bool, seen: impl std::fmt::Debug) {
        if !holds {
            println!("FAILED {name}: {seen:?}");
            exit(1);
        }
        self.0 += 1;
        println!("ok {name}");
    }
}

fn client(secret: &str) -> Client {
    let credentials = Credentials::new(var("ACCESS_KEY_ID").unwrap(), secret, None, None, "matrix");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(var("ENDPOINT").unwrap())
        .region(Region::new("ap-southeast-2"))
        .credentials_provider(credentials)
        .retry_config(aws_sdk_mediastoredata::config::retry::RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// The code and the status of an error.
fn failure<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E, aws_sdk_mediastoredata::config::http::HttpResponse>>,
) -> (String, u16) {
    match result {
        Ok(_) => ("no error".to_owned(), 0),
        Err(error) => {
            let status = error.raw_response().map_or(0, |response| response.status().as_u16());
            (error.code().unwrap_or_default().to_owned(), status)
        }
    }
}

async fn put(store: &Client, path: &str, body: &'static [u8]) -> String {
    let put = store.put_object().path(path).body(ByteStream::from_static(body)).send().await;
    put.map_or_else(|error| format!("{error:?}"), |put| put.e_tag.unwrap_or_default())
}

async fn get(store: &Client, path: &str) -> Vec<u8> {
    match store.get_object().path(path).send().await {
        Ok(got) => got.body.collect().await.map(|body| body.to_vec()).unwrap_or_default(),
        Err(error) => format!("{error:?}").into_bytes(),
    }
}

async fn objects(store: &Client, checks: &mut Checks) {
    let put_object = store.put_object().path("live/a.ts").content_type("video/mp2t").cache_control("max-age=6");
    let stored = put_object.body(ByteStream::from_static(b"abc")).send().await;
    checks.check("MS-01 PutObject", stored.is_ok(), &stored);
    let stored = stored.unwrap();
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    checks.check("MS-01 digest", stored.content_sha256() == Some(digest), &stored);
    let got = store.get_object().path("live/a.ts").send().await.unwrap();
    checks.check("MS-02 headers", got.content_type() == Some("video/mp2t") && got.cache_control() == Some("max-age=6"), &got);
    checks.check("MS-02 ETag", got.e_tag() == stored.e_tag(), &got);
    checks.check("MS-02 body", get(store, "live/a.ts").await == b"abc", ());
    let part = store.get_object().path("live/a.ts").range("bytes=1-").send().await.unwrap();
    checks.check("MS-05 range", part.content_range() == Some("bytes 1-2/3") && part.status_code() == 206, &part);
    let seen = failure(store.get_object().path("live/a.ts").range("bytes=99-").send().await);
    checks.check("MS-06 typed 416", seen == ("RequestedRangeNotSatisfiableException".to_owned(), 416), seen);
    let missing = store.get_object().path("live/none.ts").send().await.unwrap_err().into_service_error();
    checks.check("MS-07 typed 404", missing.is_object_not_found_exception(), &missing);
    let head = store.describe_object().path("live/a.ts").send().await.unwrap();
    checks.check("MS-08 DescribeObject", head.content_length() == Some(3) && head.last_modified().is_some(), &head);
    let missing = store.describe_object().path("live/none.ts").send().await.unwrap_err().into_service_error();
    checks.check("MS-09 typed 404 of a HEAD", missing.is_object_not_found_exception(), &missing);
    checks.check("MS-10 DeleteObject", store.delete_object().path("live/a.ts").send().await.is_ok(), ());
    let missing = store.delete_object().path("live/a.ts").send().await.unwrap_err().into_service_error();
    checks.check("MS-11 twice is 404", missing.is_object_not_found_exception(), &missing);
}

async fn paths_and_pages(store: &Client, checks: &mut Checks) {
    for path in ["live/a b=c:d'(1)!*~é.ts", "live/100%.ts", "/live/slash.ts"] {
        let etag = put(store, path, b"abc").await;
        checks.check(&format!("MS-23 {path}"), get(store, path).await == b"abc", etag);
    }
    let streaming = store.put_object().path("live/s.ts").upload_availability(UploadAvailability::Streaming);
    let streaming = streaming.body(ByteStream::from_static(b"abc")).send().await;
    checks.check("MS-19 STREAMING", streaming.is_ok(), &streaming);
    for number in 0..25 {
        let etag = put(store, &format!("list/{number:02}.ts"), b"x").await;
        checks.check("PutObject", etag.starts_with('"'), etag);
    }
    let mut pages = store.list_items().path("list").into_paginator().page_size(10).send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.extend(page.unwrap().items.unwrap_or_default().into_iter().filter_map(|item| item.name));
    }
    let expected: Vec<String> = (0..25).map(|number| format!("{number:02}.ts")).collect();
    checks.check("MS-14 each name once", names == expected, &names);
}

async fn access(checks: &mut Checks) {
    let put_object = client("wrong").put_object().path("live/x.ts").body(ByteStream::from_static(b"x"));
    let seen = failure(put_object.send().await);
    checks.check("MS-27 wrong secret", seen == ("InvalidSignatureException".to_owned(), 403), seen);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut checks = Checks(0);
    let store = client(&var("SECRET_ACCESS_KEY").unwrap());
    objects(&store, &mut checks).await;
    paths_and_pages(&store, &mut checks).await;
    if var("SIGNED").unwrap() == "1" {
        access(&mut checks).await;
    }
    println!("{} checks passed", checks.0);
}
