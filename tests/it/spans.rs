//! Spans, as a collector receives them: a small server that takes what an origin posts to `/v1/traces`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use mediaorigin_crds::load;
use mediaorigin_origin::trace::settings::Settings;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::peer::Peer;
use serde_json::Value;
use tokio::runtime::Builder;

const SPEC: &str = "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {name: a}\n\
                    spec: {disk: {size: 1Gi, storageClassName: any}}\n";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// What was posted, one document each, and where to.
fn collector() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            let head = head.to_ascii_lowercase();
            assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
            assert!(head.contains("\r\nx-key: a b\r\n"), "{head}");
            let length =
                head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if tell.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}"), told)
}

fn start(disk: &Path, endpoint: &str) -> Running {
    let variable = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("x-key=a%20b".to_owned()),
        // What is posted is posted at the end.
        "OTEL_BSP_SCHEDULE_DELAY" => Some("600000".to_owned()),
        _ => None,
    };
    let spans = Settings::read(Some(endpoint), variable).unwrap();
    let options = Options { disk_dir: Some(disk.to_owned()), spans, ..Options::default() };
    start_blocking(load::parse(SPEC).unwrap(), options).unwrap()
}

fn ask(running: &Running, method: &str, flags: &str, body: Option<&[u8]>) -> u16 {
    let headers = [("traceparent".to_owned(), format!("00-{TRACE}-{CALLER}-{flags}"))];
    let mut peer = Peer::connect(running.media_addr).unwrap();
    peer.request(method, "/live/a.ts", &headers, body).unwrap().head.status
}

/// The spans of an origin that is about to end.
fn spans(running: Running, told: &Receiver<Value>) -> Vec<Value> {
    // What is being answered ends first: a client may have its answer before the span of it is over.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(running.finish());
    let document = told.recv_timeout(Duration::from_secs(30)).unwrap();
    let resource = &document["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "mediaorigin");
    resource["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let found: Vec<_> = spans.iter().filter(|span| span["name"] == name).collect();
    assert_eq!(found.len(), 1, "{name} in {spans:?}");
    found[0]
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    &attributes.iter().find(|attribute| attribute["key"] == key).unwrap()["value"]
}

fn nanos(span: &Value, key: &str) -> u128 {
    span[key].as_str().unwrap().parse().unwrap()
}

/// A request as its caller's child, and what was asked of the tiers as its own.
fn check(spans: &[Value], method: &str, status: &str, outcome: &str, steps: &[&str]) {
    let request = named(spans, method);
    assert_eq!((&request["traceId"], &request["parentSpanId"]), (&TRACE.into(), &CALLER.into()));
    assert_eq!(request["kind"], 2);
    assert_eq!(attribute(request, "url.path")["stringValue"], "/live/a.ts");
    assert_eq!(attribute(request, "http.response.status_code")["intValue"], status);
    assert_eq!(attribute(request, "mediaorigin.outcome")["stringValue"], outcome);
    assert_eq!(spans.len(), steps.len() + 1, "{spans:?}");
    for step in steps {
        let step = named(spans, step);
        assert_eq!((&step["traceId"], &step["parentSpanId"]), (&request["traceId"], &request["spanId"]));
        assert_eq!(step["kind"], 1);
        assert!(nanos(step, "startTimeUnixNano") >= nanos(request, "startTimeUnixNano"));
        assert!(nanos(step, "endTimeUnixNano") <= nanos(request, "endTimeUnixNano"));
    }
}

#[test]
fn a_collector_sees_an_upload_and_a_cold_read_in_the_trace_of_their_caller() {
    let folder = Folder::new("spans").unwrap();
    let disk = folder.path();
    let (endpoint, told) = collector();
    let running = start(disk, &endpoint);
    // Not sampled by its caller: no span, and one of a memory hit where it is.
    assert_eq!(ask(&running, "PUT", "00", Some(b"abc")), 201);
    assert_eq!(ask(&running, "DELETE", "00", None), 204);
    assert_eq!(ask(&running, "PUT", "01", Some(b"abcd")), 201);
    let found = spans(running, &told);
    check(&found, "PUT", "201", "created", &["tiers.commit"]);
    assert_eq!(attribute(named(&found, "PUT"), "http.request.body.size")["intValue"], "4");

    let running = start(disk, &endpoint);
    assert_eq!(ask(&running, "GET", "01", None), 200);
    let found = spans(running, &told);
    check(&found, "GET", "200", "disk", &["tiers.find", "tiers.read"]);
    assert_eq!(attribute(named(&found, "tiers.read"), "mediaorigin.tier")["stringValue"], "disk");
    assert_eq!(attribute(named(&found, "GET"), "http.response.body.size")["intValue"], "4");
}

#[test]
fn a_memory_hit_has_a_span_and_a_collector_that_is_gone_holds_nobody_up() {
    let folder = Folder::new("spans").unwrap();
    let disk = folder.path();
    let (endpoint, told) = collector();
    let running = start(disk, &endpoint);
    assert_eq!(ask(&running, "PUT", "00", Some(b"abc")), 201);
    assert_eq!(ask(&running, "GET", "01", None), 200);
    check(&spans(running, &told), "GET", "200", "hit", &[]);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = start(disk, &format!("http://{gone}"));
    for _ in 0..3_000 {
        // More than the queue holds.
        assert_eq!(ask(&running, "GET", "01", None), 200);
    }
    drop(running);
}
