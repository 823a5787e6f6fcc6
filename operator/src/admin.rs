//! Probes and metrics over HTTP/1.1, by hand: three GETs for a kubelet and a scraper do not pay for a web framework.
//!
//! Bounds: 32 connections, 4 KiB of request head, 5 s for a whole exchange, one request per connection.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::health::Health;
use crate::metrics::Metrics;

const CONNECTIONS_MAX: usize = 32;
const HEAD_LENGTH_MAX: usize = 4096;
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Listens on `address`. `[::]` takes IPv4 too, and IPv4 alone where there is no IPv6.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != ErrorKind::AddrInUse => {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            TcpListener::bind(address).await
        }
        bound => bound,
    }
}

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, health: Arc<Health>, metrics: Arc<Metrics>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Owned here: dropping this function's future ends every exchange.
    let mut exchanges = tokio::task::JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while exchanges.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let (health, metrics) = (Arc::clone(&health), Arc::clone(&metrics));
                exchanges.spawn(async move {
                    // A client that goes away or dawdles is its own problem.
                    let _ = timeout(EXCHANGE_TIMEOUT, exchange(stream, &health, &metrics)).await;
                    drop(slot);
                });
            }
            // Out of file descriptors, most likely: wait for some to come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn exchange(mut stream: TcpStream, health: &Health, metrics: &Metrics) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() >= HEAD_LENGTH_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line =
        String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let answer = respond(&line, health, metrics, Instant::now());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// The whole answer to a request line.
fn respond(line: &str, health: &Health, metrics: &Metrics, now: Instant) -> String {
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let text = "text/plain; charset=utf-8";
    let (status, kind, body) = match (method, path) {
        ("GET", "/livez") if health.is_live(now) => ("200 OK", text, "ok\n".to_owned()),
        ("GET", "/livez") => ("503 Service Unavailable", text, "a reconcile hangs\n".to_owned()),
        ("GET", "/readyz") if health.is_ready() => ("200 OK", text, "ok\n".to_owned()),
        ("GET", "/readyz") => {
            ("503 Service Unavailable", text, "the list of MediaOrigins is not complete\n".to_owned())
        }
        ("GET", "/metrics") => match metrics.text() {
            Ok(body) => ("200 OK", OPEN_METRICS, body),
            Err(error) => ("500 Internal Server Error", text, format!("{error}\n")),
        },
        ("GET", _) => ("404 Not Found", text, "there are /livez, /readyz and /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", text, "only GET\n".to_owned()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_follow_health_and_unknown_paths_are_named() {
        let (health, metrics) = (Health::default(), Metrics::default());
        let status = |line: &str, now: Instant| {
            let answer = respond(line, &health, &metrics, now);
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        let start = Instant::now();
        assert_eq!(status("GET /readyz HTTP/1.1", start), "503");
        health.set_synced();
        assert_eq!(status("GET /readyz HTTP/1.1", start), "200");
        let running = health.start(start);
        assert_eq!(status("GET /livez?verbose HTTP/1.1", start), "200");
        assert_eq!(status("GET /livez HTTP/1.1", start + crate::health::RECONCILE_AGE_MAX), "503");
        drop(running);
        assert_eq!(status("GET / HTTP/1.1", start), "404");
        assert_eq!(status("POST /livez HTTP/1.1", start), "405");
        assert_eq!(status("", start), "405");
    }

    #[tokio::test]
    async fn the_default_address_takes_ipv4() {
        let listener = listen("[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    }

    #[test]
    fn metrics_have_the_documented_names() {
        let metrics = Metrics::default();
        metrics.reconciled(crate::metrics::ReconcileResult::Ok, Duration::from_millis(20));
        let text = respond("GET /metrics HTTP/1.1", &Health::default(), &metrics, Instant::now());
        assert!(text.contains("mediaorigin_operator_reconciles_total{result=\"Ok\"} 1"), "{text}");
        for name in
            ["reconcile_seconds_count", "status_writes_total", "watch_errors_total", "event_errors_total"]
        {
            assert!(text.contains(&format!("mediaorigin_operator_{name}")), "{name}");
        }
    }
}
