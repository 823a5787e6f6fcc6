//! HTTP/2 against HTTP/1.1: the same requests must come to the same answers, counts and log lines.

use http_types::{HeaderName, HeaderValue, Request, Uri};

use super::{Port, World, random};

/// The request as fields; `None` where HTTP/2 has no words for it.
fn fields(text: &str) -> Option<Request<()>> {
    let mut lines = text.split_once("\r\n\r\n")?.0.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if version != "HTTP/1.1" || !target.starts_with('/') || target.contains('#') {
        return None;
    }
    let uri = Uri::builder().scheme("http").authority("a").path_and_query(target).build().ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    let mut has_host = false;
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        match name {
            "Host" if value == "a" && !has_host => has_host = true,
            "Connection" | "Transfer-Encoding" | "Upgrade" | "Host" | "Content-Length" => return None,
            _ => {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
            }
        }
    }
    request.body(()).ok().filter(|_| has_host)
}

/// The answer as [`super::normalised`] has it, with the status alone in its first line.
async fn ask(port: &Port, request: Request<()>) -> String {
    let socket = tokio::net::TcpStream::connect(port.address).await.unwrap();
    let (send, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let (response, _) = send.ready().await.unwrap().send_request(request, true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut data = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        data.extend_from_slice(&piece);
    }
    let mut lines: Vec<_> =
        head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.retain(|line| !line.starts_with("date: ") && !line.starts_with("x-amzn-requestid: "));
    lines.sort_unstable();
    lines.insert(0, head.status.as_str().to_owned());
    drop(body);
    // The client goes when nothing is left to do; the server is done with the request when it has seen that.
    let _ = connection.await;
    format!("{}\n\n{}", lines.join("\n"), data.escape_ascii())
}

#[test]
fn both_versions_answer_requests_alike() {
    let (world, mut random) = (World::new(), random());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut compared = 0;
    while compared < 600 {
        let text = world.request(&mut random);
        let Some(request) = fields(&text) else { continue };
        compared += 1;
        let (answers, lines, counts) = world.outcome(&world.slow, text.as_bytes());
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        let (first, rest) = answer.split_once('\n').unwrap();
        let rest = rest
            .lines()
            .filter(|line| !line.starts_with("connection: ") && !line.starts_with("transfer-encoding: "));
        let expected = format!("{}\n{}", &first[9..12], rest.collect::<Vec<_>>().join("\n"));
        for port in [&world.fast, &world.slow] {
            let _ = port.lines();
            let (before, open) = (world.counts(), port.counters.open());
            let given = runtime.block_on(ask(port, request.clone()));
            let given = given.lines().collect::<Vec<_>>().join("\n");
            assert_eq!(given, expected, "{text}");
            // The record of a request is written just after its last byte.
            let start = std::time::Instant::now();
            let (mut told, mut counted) = (Vec::new(), counts.clone());
            while told.len() < lines.len() || port.counters.open() > open {
                assert!(start.elapsed().as_secs() < 20, "{text}");
                told.extend(port.lines());
                std::thread::yield_now();
            }
            for (name, value) in world.counts() {
                *counted.entry(name.clone()).or_default() -= value - before.get(&name).copied().unwrap_or(0);
            }
            counted.retain(|_, value| *value != 0);
            assert!(told == lines && counted.is_empty(), "{text}{told:?}\n{lines:?}\n{counted:?}");
        }
    }
    assert!(world.fast.answered() > 200, "{}", world.fast.answered());
}
