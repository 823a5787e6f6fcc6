//! What is said of requests: our lines are compared by the fast part's tests, `MediaStore`'s here, from a whole origin.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use mediaorigin_crds::load;
use serde_json::{Map, Value};

use super::*;
use crate::clock::Clock;
use crate::{Options, Running, start_blocking};

const SPEC: &str = "
apiVersion: mediaorigin.io/v1alpha1
kind: MediaOrigin
metadata: {name: live}
spec:
  limits: {objectSize: 64Ki}
  tierPolicies: [{name: short, match: {paths: [\"short/**\"]}, memory: {keepSeconds: 1}, expireSeconds: 60}]
";

fn start() -> (Running, Receiver<Vec<u8>>) {
    let (sender, lines) = channel();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let take = move |line| drop(sender.send(line));
    let options = Options { clock, mediastore_log: Some(Sink::new(take)), ..Options::default() };
    (start_blocking(load::parse(SPEC).unwrap(), options).unwrap(), lines)
}

fn exchange(running: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(running.media_addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn record(lines: &Receiver<Vec<u8>>) -> Map<String, Value> {
    let line = lines.recv_timeout(Duration::from_secs(10)).unwrap();
    let line = String::from_utf8(line).unwrap();
    assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
    serde_json::from_str(&line).unwrap()
}

/// Proves CP-14: one JSON object per request with the 15 fields of `MediaStore`.
#[test]
fn cp_14_a_line_for_every_request_as_mediastore_wrote_it() {
    let (running, lines) = start();
    let tail = "Host: x\r\nConnection: close\r\nX-Request-Id: abc-1\r\n\r\n";
    exchange(&running, &format!("PUT /short/1.ts?a=b HTTP/1.1\r\nContent-Length: 5\r\n{tail}hello"));
    let put = record(&lines);
    let names: Vec<&str> = put.keys().map(String::as_str).collect();
    let mut expected = [
        "Path",
        "Requester",
        "AWSAccountId",
        "RequestID",
        "ContainerName",
        "TotalTime",
        "BytesReceived",
        "BytesSent",
        "ReceivedTime",
        "Operation",
        "ErrorCode",
        "Source",
        "HTTPStatus",
        "TurnAroundTime",
        "ExpiresAt",
    ];
    expected.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let text = |record: &Map<String, Value>, fields: &[&str]| -> Vec<Value> {
        fields.iter().map(|field| record[*field].clone()).collect()
    };
    let fields = [
        "Path",
        "RequestID",
        "ContainerName",
        "Operation",
        "ErrorCode",
        "Source",
        "ReceivedTime",
        "ExpiresAt",
    ];
    assert_eq!(
        Value::from(text(&put, &fields)),
        serde_json::json!([
            "/short/1.ts",
            "abc-1",
            "live",
            "PutObject",
            null,
            "127.0.0.1",
            "2023-11-14T22:13:20.000Z",
            "2023-11-14T22:14:20.000Z"
        ])
    );
    let numbers = ["HTTPStatus", "BytesReceived", "BytesSent", "Requester", "AWSAccountId"];
    assert_eq!(Value::from(text(&put, &numbers)), serde_json::json!([201, 5, 0, null, null]));
    assert!(put["TotalTime"].is_u64() && put["TurnAroundTime"].is_u64());
}

#[test]
fn every_operation_has_its_name_and_every_error_its_code() {
    let (running, lines) = start();
    let tail = "Host: x\r\nConnection: close\r\n\r\n";
    exchange(&running, &format!("PUT /short/1.ts HTTP/1.1\r\nContent-Length: 5\r\n{tail}hello"));
    assert_eq!(record(&lines)["HTTPStatus"], 201);
    let cases = [
        ("GET /short/1.ts", "GetObject", 200, 5, Value::Null),
        ("HEAD /short/1.ts", "DescribeObject", 200, 0, Value::Null),
        ("GET /short/2.ts", "GetObject", 404, 15, "ObjectNotFoundException".into()),
        ("DELETE /short/1.ts", "DeleteObject", 204, 0, Value::Null),
        ("PATCH /short/1.ts", "OTHER", 405, 69, "method-refused".into()),
    ];
    for (request, operation, status, sent, error) in cases {
        exchange(&running, &format!("{request} HTTP/1.1\r\n{tail}"));
        let found = record(&lines);
        let fields = ["Operation", "HTTPStatus", "BytesSent", "ErrorCode"];
        let expected = serde_json::json!([operation, status, sent, error]);
        assert_eq!(Value::from(fields.map(|field| found[field].clone()).to_vec()), expected, "{request}");
    }
    // Ids that are not plain are not repeated.
    let answer =
        exchange(&running, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: a\"b\r\n\r\n");
    let id = record(&lines)["RequestID"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    assert!(answer.contains(&format!("x-amzn-requestid: {id}\r\n")), "{answer}");
}

/// Proves FQ-09: what an encoder does not say is an event, a metric and (in `Drop`) a warning.
#[test]
fn fq_09_a_refused_upload_is_an_event() {
    let (running, lines) = start();
    let head = "Host: x\r\nUser-Agent: Lavf/59\r\nX-Request-Id: id-7\r\n";
    exchange(
        &running,
        &format!("PUT /live/big.ts HTTP/1.1\r\nContent-Length: 99999\r\nConnection: close\r\n{head}\r\n"),
    );
    assert_eq!(record(&lines)["HTTPStatus"], 413);
    {
        let mut stream = TcpStream::connect(running.media_addr).unwrap();
        stream
            .write_all(format!("PUT /live/cut.ts HTTP/1.1\r\nContent-Length: 9\r\n{head}\r\nabc").as_bytes())
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(record(&lines)["Path"], "/live/cut.ts");
    }
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(running.admin_addr).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let report = |after: &str| serde_json::from_str::<Value>(&ask(&format!("/-/events{after}"))).unwrap();
    assert!(ask("/metrics").contains("\nmediaorigin_uploads_lost_total{reason=\"too-large\"} 1\n"));
    let all = report("");
    assert_eq!(
        all["events"][0],
        serde_json::json!({
            "sequence": 1, "time": "2023-11-14T22:13:20.000Z", "kind": "uploadRefused", "path": "/live/big.ts", "status": 413,
            "outcome": "too-large", "reason": "the object is larger than the limit of 65536 bytes", "peer": "127.0.0.1",
            "agent": "Lavf/59", "requestId": "id-7"
        })
    );
    assert_eq!((all["events"][1]["kind"].as_str(), all["latest"].as_u64()), (Some("uploadLost"), Some(2)));
    assert_eq!(report("?after=1")["events"].as_array().unwrap().len(), 1);
    assert_eq!(report("?after=x")["events"].as_array().unwrap().len(), 2);
}
