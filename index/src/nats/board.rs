//! Notices from pod to pod: over the connection of the index, and beside its log. Nobody keeps them, and any of them may be
//! lost; what they say is a hint, or is answered.

use std::time::Duration;

use async_nats::connection::State as Connection;
use async_nats::{Client, Request, Subject, SubscribeError, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;

/// How long the client library may take to accept a notice.
const HANDED_OVER: Duration = Duration::from_millis(250);
/// Largest notice.
pub const NOTICE_BYTES_MAX: usize = 256 * 1_024;

/// Where the pods of an origin leave notices of one kind for each other.
#[derive(Clone, Debug)]
pub struct Board {
    client: Client,
    subject: String,
}

/// Notices as they come, one's own among them. When they come faster than they are read, some are lost.
#[derive(Debug)]
pub struct Notices(Subscriber);

/// A notice of some pod.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it says.
    pub body: Bytes,
    reply: Option<Subject>,
}

impl Board {
    pub(crate) fn new(client: Client, subject: String) -> Self {
        Self { client, subject }
    }

    fn is_usable(&self, body: &Bytes) -> bool {
        self.client.connection_state() == Connection::Connected && body.len() <= NOTICE_BYTES_MAX
    }

    /// Leaves a notice; while there is no connection, or with more than [`NOTICE_BYTES_MAX`], it is lost.
    pub async fn post(&self, body: Bytes) {
        if self.is_usable(&body) {
            // What is lost is as good as never said.
            let _ = timeout(HANDED_OVER, self.client.publish(self.subject.clone(), body)).await;
        }
    }

    /// Leaves a notice and waits for the first answer; none if nobody gave one in time.
    pub async fn ask(&self, body: Bytes, patience: Duration) -> Option<Bytes> {
        if !self.is_usable(&body) {
            return None;
        }
        let request = Request::new().payload(body).timeout(Some(patience));
        // The library waits without end for room in its queue.
        let answer = timeout(patience, self.client.send_request(self.subject.clone(), request)).await;
        Some(answer.ok()?.ok()?.payload)
    }

    /// Answers a notice, if it wants an answer.
    pub async fn answer(&self, notice: &Notice, body: Bytes) {
        if let Some(reply) = &notice.reply {
            let _ = timeout(HANDED_OVER, self.client.publish(reply.clone(), body)).await;
        }
    }

    /// Reads notices from now on, over every connection to come.
    pub async fn read(&self) -> Result<Notices, SubscribeError> {
        Ok(Notices(self.client.subscribe(self.subject.clone()).await?))
    }
}

impl Notices {
    /// The next one; `None` when there will be no more.
    pub async fn next(&mut self) -> Option<Notice> {
        let message = self.0.next().await?;
        Some(Notice { body: message.payload, reply: message.reply })
    }
}
