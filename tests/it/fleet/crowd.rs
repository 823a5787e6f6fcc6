//! Ten thousand viewers who ask for a new segment at once.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::pods::{Fleet, SMALL, Size};

const VIEWERS: usize = 10_000;
const PODS: usize = 3;
const SEGMENT: usize = 50_000;
/// A connection may need 64 KiB of a pod.
const LARGE: Size = Size { memory: "1Gi", connections: 4_000, ..SMALL };

/// Proves OP-07: ten thousand viewers, spread over three pods, ask at the same moment for a segment that one of the pods holds. Each of the
/// others fetches it once, and all are served.
#[test]
fn op_07_ten_thousand_viewers_cost_one_fetch_for_each_other_pod() {
    let fleet = Fleet::start_with(
        (PODS, LARGE),
        "[{name: all, match: {paths: ['**']}, durability: Memory}]",
        false,
        None,
    );
    let body: Arc<Vec<u8>> = Arc::new((0..=250).cycle().take(SEGMENT).collect());
    fleet.put(0, "/live/a/seg1.m4s", &body);
    let pods: Vec<_> = (0..PODS).map(|pod| fleet.pod(pod).media).collect();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(crowd(&pods, &body)).unwrap();
    for pod in 1..PODS {
        let metric = |name: &str| fleet.metric(pod, name);
        assert_eq!(metric("mediaorigin_peer_received_bytes_total"), SEGMENT as u64, "pod {pod}");
        assert_eq!(metric("mediaorigin_peer_fetches_failed_total"), 0, "pod {pod}");
    }
    assert_eq!(fleet.metric(0, "mediaorigin_peer_sent_bytes_total"), 2 * SEGMENT as u64);
}

/// All are connected before the first of them asks.
async fn crowd(pods: &[SocketAddr], body: &Arc<Vec<u8>>) -> Result<()> {
    let everybody = Arc::new(Barrier::new(VIEWERS));
    let mut viewers = JoinSet::new();
    for number in 0..VIEWERS {
        let stream = TcpStream::connect(pods[number % pods.len()]).await?;
        let (everybody, body) = (Arc::clone(&everybody), Arc::clone(body));
        viewers.spawn(async move {
            everybody.wait().await;
            watch(stream, &body).await
        });
    }
    while let Some(viewer) = viewers.join_next().await {
        viewer??;
    }
    Ok(())
}

async fn watch(mut stream: TcpStream, body: &[u8]) -> Result<()> {
    stream.write_all(b"GET /live/a/seg1.m4s HTTP/1.1\r\nhost: origin\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::with_capacity(body.len() + 1_000);
    stream.read_to_end(&mut answer).await?;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(40)]).into_owned();
    ensure!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(body), "{head}: {} bytes", answer.len());
    Ok(())
}
