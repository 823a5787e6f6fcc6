//! Requests to the `JetStream` part of the servers, as JSON.

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{Client, Request};
use serde_json::Value;

use crate::answer::Trouble;

/// How long an answer may take where nobody waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Nobody answered: there is no leader, or no connection.
    Silent(String),
    /// The answer is no.
    Refused(Trouble),
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent(text) => formatter.write_str(text),
            Self::Refused(trouble) => write!(formatter, "{} ({})", trouble.description, trouble.err_code),
        }
    }
}

/// Asks `$JS.API.` and `what`.
pub(crate) async fn ask(
    client: &Client,
    what: &str,
    body: &Value,
    patience: Duration,
) -> Result<Value, ApiError> {
    let payload = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::new().payload(payload.into()).timeout(Some(patience));
    let sent = client.send_request(format!("$JS.API.{what}"), request);
    let message = match tokio::time::timeout(patience * 2, sent).await {
        Ok(Ok(message)) => message,
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            return Err(ApiError::Silent("no server has JetStream, or it has no leader".to_owned()));
        }
        Ok(Err(error)) => return Err(ApiError::Silent(error.to_string())),
        Err(elapsed) => return Err(ApiError::Silent(elapsed.to_string())),
    };
    let answer: Value = serde_json::from_slice(&message.payload)
        .map_err(|error| ApiError::Silent(format!("an answer that cannot be read: {error}")))?;
    match answer.get("error") {
        Some(error) => {
            let trouble = serde_json::from_value(error.clone()).unwrap_or_default();
            Err(ApiError::Refused(trouble))
        }
        None => Ok(answer),
    }
}
