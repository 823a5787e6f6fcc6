//! One message of the write-ahead log at a time, there and back, and again until it is settled.

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State as Connection;
use async_nats::{Client, HeaderMap, HeaderValue, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::WalError;
use crate::answer::Answer;
use crate::entry::Uid;
use crate::nats::api::{ApiError, ask};
use crate::wal::{Damage, Frame, Names};

/// How long one attempt waits for its answer.
const ATTEMPT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
/// How often the leader has to say that a message is not there.
const DENIALS: u32 = 3;
const NO_MESSAGE: u32 = 10_037;

/// The connection, and what things are called on it.
pub(super) struct Exchange {
    pub(super) client: Client,
    pub(super) names: Names,
}

/// Why an attempt brought nothing.
enum Attempt {
    Full(String),
    Refused(String),
    Again(String),
}

impl Exchange {
    /// Sends a message until it is acknowledged. To store it twice changes nothing: the second one replaces the first.
    pub(super) async fn store(&self, uid: Uid, frame: Frame, deadline: Instant) -> Result<(), WalError> {
        let number = frame.number;
        let mut headers = HeaderMap::new();
        for (name, value) in frame.headers() {
            headers.insert(name, value);
        }
        let subject = self.names.message(uid, number);
        loop {
            let reason = match self.attempt(&subject, &headers, &frame.payload, deadline).await {
                Ok(()) => return Ok(()),
                Err(Attempt::Full(reason)) => return Err(WalError::Full(reason)),
                Err(Attempt::Refused(reason)) => return Err(WalError::NotStored { uid, number, reason }),
                Err(Attempt::Again(reason)) => reason,
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(WalError::NotStored { uid, number, reason });
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt(
        &self,
        subject: &str,
        headers: &HeaderMap,
        payload: &Bytes,
        deadline: Instant,
    ) -> Result<(), Attempt> {
        let request = Request::new().headers(headers.clone()).payload(payload.clone());
        let message = self.request(subject, request, deadline).await?;
        if let Some(reason) = Answer::full(&message.payload) {
            return Err(Attempt::Full(reason));
        }
        match Answer::read(&message.payload) {
            Answer::Stored { .. } => Ok(()),
            Answer::Refused(reason) => Err(Attempt::Refused(reason)),
            Answer::Unavailable(reason) => Err(Attempt::Again(reason)),
            other => Err(Attempt::Again(format!("{other:?}"))),
        }
    }

    async fn request(
        &self,
        subject: &str,
        request: Request,
        deadline: Instant,
    ) -> Result<async_nats::Message, Attempt> {
        // What is handed to the library without a connection waits in its memory, again and again.
        if self.client.connection_state() != Connection::Connected {
            return Err(Attempt::Again("there is no connection".to_owned()));
        }
        let patience = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
        let sent = self.client.send_request(subject.to_owned(), request.timeout(Some(patience)));
        match timeout(patience, sent).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                Err(Attempt::Refused(error.to_string()))
            }
            Ok(Err(error)) => Err(Attempt::Again(error.to_string())),
            Err(_) => Err(Attempt::Again("no answer in time".to_owned())),
        }
    }

    /// A message: from any server, and where that one does not have it, from the leader, who knows whether it is there.
    pub(super) async fn get(&self, uid: Uid, number: u64, patience: Duration) -> Result<Frame, WalError> {
        let deadline = Instant::now() + patience;
        let mut denials = 0;
        loop {
            let damaged = |damage| WalError::Damaged { uid, number, damage };
            let mut reason = "no server has it".to_owned();
            match self.get_from_any(uid, number, deadline).await {
                Ok(Some(frame)) => return frame.map_err(damaged),
                Ok(None) => match self.get_from_leader(uid, number).await {
                    Ok(Some(frame)) => return frame.map_err(damaged),
                    Ok(None) => denials += 1,
                    Err(error) => reason = error.to_string(),
                },
                Err(Attempt::Full(text) | Attempt::Refused(text) | Attempt::Again(text)) => reason = text,
            }
            if denials == DENIALS {
                return Err(WalError::Missing { uid, number });
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(WalError::NotRead { uid, number, reason });
            }
            sleep(PAUSE).await;
        }
    }

    async fn get_from_any(
        &self,
        uid: Uid,
        number: u64,
        deadline: Instant,
    ) -> Result<Option<Result<Frame, Damage>>, Attempt> {
        let subject =
            format!("$JS.API.DIRECT.GET.{}.{}", self.names.stream(), self.names.message(uid, number));
        let message = self.request(&subject, Request::new(), deadline).await?;
        match message.status.map(|status| status.as_u16()) {
            None => {}
            Some(404) => return Ok(None),
            Some(status) => return Err(Attempt::Again(format!("a server answers {status}"))),
        }
        let header = |name: &str| message.headers.as_ref()?.get(name).map(HeaderValue::as_str);
        Ok(Some(Frame::read(number, message.payload.clone(), header)))
    }

    async fn get_from_leader(
        &self,
        uid: Uid,
        number: u64,
    ) -> Result<Option<Result<Frame, Damage>>, ApiError> {
        let body = json!({ "last_by_subj": self.names.message(uid, number) });
        let what = format!("STREAM.MSG.GET.{}", self.names.stream());
        let answer = match ask(&self.client, &what, &body, ATTEMPT).await {
            Ok(answer) => answer,
            Err(ApiError::Refused(trouble)) if trouble.err_code == NO_MESSAGE => return Ok(None),
            Err(error) => return Err(error),
        };
        let field = |name: &str| {
            let text =
                answer.pointer(&format!("/message/{name}")).and_then(Value::as_str).unwrap_or_default();
            STANDARD.decode(text).map_err(|error| ApiError::Silent(error.to_string()))
        };
        let (headers, payload) = (field("hdrs")?, field("data")?);
        let headers = String::from_utf8_lossy(&headers);
        let header = |name: &str| {
            let mut fields = headers.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(is, _)| is.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        Ok(Some(Frame::read(number, payload.into(), header)))
    }

    /// A request to the servers themselves, made again until it is answered.
    pub(super) async fn ask(&self, what: &str, body: &Value, patience: Duration) -> Result<Value, WalError> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match ask(&self.client, what, body, left.min(ATTEMPT)).await {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() + PAUSE >= deadline => {
                    return Err(WalError::Silent(error.to_string()));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
