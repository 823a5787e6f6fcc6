//! Carries a change out: the I/O around [`crate::commit`].

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State as Connection;
use async_nats::{Client, HeaderMap, Request};
use bytes::Bytes;
use tokio::time::{sleep, timeout, timeout_at};

use super::message::MARKER;
use super::shared::Shared;
use crate::answer::Answer;
use crate::commit::{ATTEMPT, Commit, Interest, Outcome, Seen, Step, Verdict};
use crate::entry::{Entry, Uid};
use crate::follower::Slot;
use crate::index::Fence;
use crate::key::Key;

const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// What decides whether a change may be made to what is there; asked again when somebody came first.
pub type Condition = Box<dyn Fn(Option<&Entry>) -> bool + Send + Sync>;

/// What decides about a change beside ranks; asked again whenever somebody came first.
#[derive(Default)]
pub struct Rules {
    /// Whether it may be made to what is there; where not, it is refused.
    pub allows: Option<Condition>,
    /// Whether it gives way to what is there, as an earlier state of the same thing does; then it is superseded.
    pub yields: Option<Condition>,
}

impl From<Option<Condition>> for Rules {
    fn from(allows: Option<Condition>) -> Self {
        Self { allows, yields: None }
    }
}

/// A change as it is sent.
pub(crate) struct Order<'a> {
    pub(crate) key: Key,
    pub(crate) uid: Uid,
    pub(crate) body: Bytes,
    pub(crate) rules: &'a Rules,
    /// What the servers know the change by: a version that is sent again with a higher stamp is another change.
    pub(crate) stamp: u64,
    /// The path as it was when the request had arrived.
    pub(crate) fence: Fence,
}

/// Carries `commit` out; with its end comes what was there at the last barrier.
pub(crate) async fn carry_out(
    client: &Client,
    shared: &Shared,
    mut commit: Commit,
    order: Order<'_>,
    is_client_here: &(dyn Fn() -> bool + Send + Sync),
) -> (Outcome, Option<Slot>) {
    let interest = || Interest { now: shared.clock.now(), is_client_here: is_client_here() };
    let mut step = Ok(commit.start());
    let mut slot = order.fence.slot.clone();
    let mut is_first = true;
    let outcome = loop {
        step = match step {
            Err(outcome) => break outcome,
            Ok(Step::Fence) => {
                if !std::mem::take(&mut is_first) {
                    let fence = barrier(shared, order.key, commit.deadline()).await;
                    let Some(fence) = fence else { break commit.given_up() };
                    slot = fence.slot;
                }
                let entry = slot.as_ref().and_then(Slot::entry).filter(|entry| entry.is_live());
                // Nobody knows whether a condition holds for what cannot be read.
                let is_unreadable = slot.as_ref().is_some_and(Slot::is_unreadable);
                let says = |rule: &Condition| !is_unreadable && rule(entry.map(|entry| &**entry));
                let verdict = match order.rules {
                    Rules { allows: Some(allows), .. } if !says(allows) => Verdict::Refuse,
                    Rules { yields: Some(yields), .. } if says(yields) => Verdict::Yield,
                    _ => Verdict::Go,
                };
                commit.fenced(Seen::of(slot.as_ref(), verdict), interest())
            }
            Ok(Step::Publish { expected }) => {
                let left = commit.deadline().saturating_sub(shared.clock.now());
                let answer = publish(client, shared, &order, expected, left.min(ATTEMPT)).await;
                shared.count(|counts| {
                    counts.attempts += u64::from(answer != Answer::NotSent);
                    counts.conflicts += u64::from(answer == Answer::Conflict);
                });
                commit.answered(answer, interest())
            }
            Ok(Step::Pause(time)) => {
                sleep(time).await;
                commit.paused(interest())
            }
        };
    };
    shared.count(|counts| match outcome {
        Outcome::Committed { .. } => counts.committed += 1,
        Outcome::Superseded => counts.superseded += 1,
        Outcome::Unknown => counts.unknown += 1,
        Outcome::Abandoned => counts.abandoned += 1,
        Outcome::Refused | Outcome::Nothing | Outcome::Failed(_) => {}
    });
    (outcome, slot)
}

/// What was known of a key as a barrier came by that was sent from now on.
pub(crate) async fn barrier(shared: &Shared, key: Key, deadline: Duration) -> Option<Fence> {
    let receiver = shared.join(key)?;
    let slot = timeout_at(shared.clock.at(deadline), receiver).await.ok()?.ok()?;
    Some(Fence { key, slot })
}

/// Puts a mark in place of the message at `expected`, if it is the last one of its key: the servers drop it after `mark`. Nobody waits for
/// it, so it is tried once.
pub(crate) async fn forget(
    client: &Client,
    shared: &Shared,
    key: Key,
    expected: u64,
    mark: Duration,
) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(MARKER, "Forgotten");
    headers.insert("Nats-TTL", format!("{}s", mark.as_secs().max(1)));
    headers.insert(EXPECTED, expected.to_string());
    send(client, shared, key, (headers, Bytes::new()), ATTEMPT).await
}

async fn publish(
    client: &Client,
    shared: &Shared,
    order: &Order<'_>,
    expected: u64,
    patience: Duration,
) -> Answer {
    let mut headers = HeaderMap::new();
    // The same only for the same attempt: what comes again after it was forgotten comes behind a mark.
    headers.insert("Nats-Msg-Id", format!("{}-{}-{expected}", order.uid, order.stamp));
    headers.insert(EXPECTED, expected.to_string());
    send(client, shared, order.key, (headers, order.body.clone()), patience).await
}

async fn send(
    client: &Client,
    shared: &Shared,
    key: Key,
    (headers, body): (HeaderMap, Bytes),
    patience: Duration,
) -> Answer {
    if client.connection_state() != Connection::Connected {
        return Answer::NotSent;
    }
    let request = Request::new().headers(headers).payload(body).timeout(Some(patience));
    // The library waits without end for room in its queue.
    let sent = timeout(patience, client.send_request(shared.layout.entry(key), request)).await;
    match sent {
        Ok(Ok(message)) => Answer::read(&message.payload),
        Ok(Err(error)) => match error.kind() {
            RequestErrorKind::NoResponders => Answer::NoLeader,
            RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                Answer::Refused(error.to_string())
            }
            _ => Answer::TimedOut,
        },
        Err(_) => Answer::TimedOut,
    }
}
