//! What the scripts cannot drive: the time that an upload may take.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;

use super::Dialect;
use super::upload::{Demands, Watched};
use crate::http::request::{self, MediaRequest};
use crate::http::response::Answer;
use crate::http::view::RequestView;
use crate::http::view::sample::Sample;
use crate::outcome::Outcome;

fn demands(is_strict: bool) -> Demands {
    let headers = [("transfer-encoding", "chunked"), ("x-amz-upload-availability", "STREAMING")];
    let put = Sample::new("PUT", "/live/a.ts", &headers);
    let Ok(MediaRequest::Write(write)) = request::parse(&put, put.path(), Dialect::Client) else {
        panic!("not a write");
    };
    Demands::of(&put, &write, Dialect::Client, is_strict).unwrap()
}

fn broken() -> Answer {
    Answer::text(StatusCode::BAD_REQUEST, Outcome::Broken, "broken")
}

/// Proves MS-29: an upload that stalls is given up after 30 seconds; its readers are cut off as those of any broken one.
#[tokio::test(start_paused = true)]
async fn ms_29_a_strict_upload_takes_thirty_seconds_at_most() {
    let began = tokio::time::Instant::now();
    let body = stream::iter([Ok::<_, Infallible>(Bytes::from("abc"))]).chain(stream::pending());
    let (mut watched, findings) = Watched::new(body.boxed_local(), demands(true));
    assert_eq!(watched.next().await.unwrap().unwrap(), "abc");
    assert!(watched.next().await.unwrap().is_err());
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    assert!(watched.next().await.is_none());
    let answer = findings.judge(broken());
    assert_eq!((answer.status, answer.close), (StatusCode::REQUEST_TIMEOUT, true));
    assert!(findings.digest().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_relaxed_upload_takes_its_time() {
    let slow = stream::unfold(0, |count| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        (count < 5).then(|| (Ok::<_, Infallible>(Bytes::from("a")), count + 1))
    });
    let (watched, findings) = Watched::new(slow.boxed_local(), demands(false));
    assert_eq!(watched.collect::<Vec<_>>().await.len(), 5);
    assert_eq!(findings.judge(broken()).outcome, Outcome::Broken);
    let digest = findings.digest().unwrap().to_string();
    assert_eq!(digest, "ed968e840d10d2d313a870bc131a4e2c311d7ad09bdf32b3418147221f51a6e2");
}

/// Proves MS-21: a chunked body that goes on behind the limit.
#[tokio::test]
async fn ms_21_a_strict_streaming_upload_has_ten_megabytes_at_most() {
    let piece = Bytes::from(vec![0; 1_000_000]);
    let most = stream::iter(std::iter::repeat_n(Ok::<_, Infallible>(piece), 10));
    let (watched, findings) = Watched::new(most.clone(), demands(true));
    assert!(watched.collect::<Vec<_>>().await.iter().all(Result::is_ok));
    assert_eq!(findings.judge(broken()).outcome, Outcome::Broken);
    let (watched, findings) = Watched::new(most.chain(stream::iter([Ok(Bytes::from("x"))])), demands(true));
    assert!(watched.collect::<Vec<_>>().await.last().unwrap().is_err());
    assert_eq!(findings.judge(broken()).status, StatusCode::PAYLOAD_TOO_LARGE);
}
