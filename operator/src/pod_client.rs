//! HTTP to the admin ports of pods, over connections that are kept: bounded in time and in bytes.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that nobody used for so long is closed: three rounds of the slowest that asks.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Asks pods; clones share its connections.
#[derive(Clone, Debug)]
pub struct PodClient(Client<HttpConnector, Full<Bytes>>);

impl Default for PodClient {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let mut builder = Client::builder(TokioExecutor::new());
        Self(builder.pool_idle_timeout(IDLE_TIMEOUT).pool_max_idle_per_host(1).build(connector))
    }
}

impl PodClient {
    /// The status and body of the answer, if there is one within `patience`; otherwise why there is none.
    pub async fn send(
        &self,
        request: http_types::Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<(u16, Bytes), String> {
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| cause(&error))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        match tokio::time::timeout(patience, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {}s", patience.as_secs_f64())),
        }
    }
}

/// The innermost cause: the outer ones only say that it is a client's error.
fn cause(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
