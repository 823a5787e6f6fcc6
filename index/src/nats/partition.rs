//! The task of one partition: hands messages to the replica, and does what it wants done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State as Connection;
use async_nats::{Client, Message as NatsMessage, Statistics, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{interval, sleep, sleep_until, timeout};

use super::connect::check_version;
use super::message::{self, Part};
use super::shared::Shared;
use super::stream;
use crate::answer::Answer;
use crate::barrier::Concern;
use crate::replica::{MARK, Replica, Todo};

/// Messages that one fetch brings at most. For each fetch that begins within a log with holes the servers look at every key that
/// there is (`NumPending` of nats-server 2.14 where a stream keeps one message per subject), so a long log is read in few of them.
pub(super) const BATCH: usize = 16_384;
/// Bytes of such a batch.
const BATCH_BYTES: usize = 8 << 20;
/// How long the client library may take to accept a message: it waits for room while there is no connection.
const HANDED_OVER: Duration = Duration::from_millis(250);
/// Messages taken at once, before it is looked whether something has to be done.
const BURST: usize = 256;
/// How often it is asked whether the stream is still the same one, beside after each new connection.
const IDENTITY_EVERY: Duration = Duration::from_secs(15);
/// How long one such question waits, and how soon it is asked again while somebody waits for its answer: there may have been no
/// leader to give it.
const IDENTITY_PATIENCE: Duration = Duration::from_millis(300);
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Both ways in which messages come.
struct Ears {
    /// What the servers publish again, for one session of the replica.
    live: Subscriber,
    session: u64,
    /// Answers to fetches and barriers.
    answers: Subscriber,
    inbox: String,
}

impl Ears {
    async fn open(client: &Client, shared: &Shared) -> Result<Self, async_nats::SubscribeError> {
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.>")).await?;
        let session = shared.session();
        let live = client.subscribe(shared.layout.republished()).await?;
        Ok(Self { live, session, answers, inbox })
    }
}

/// Tells a new connection from the one before, before anything that came over it is looked at. The library's events come later.
struct Line {
    statistics: Arc<Statistics>,
    connects: u64,
}

impl Line {
    fn new(client: &Client) -> Self {
        let statistics = client.statistics();
        let connects = statistics.connects.load(Ordering::Relaxed);
        Self { statistics, connects }
    }

    fn look(&mut self, shared: &Shared) {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        if connects != self.connects {
            self.connects = connects;
            shared.connected(|age| age > MARK / 2);
        }
    }
}

/// Runs until the connection is closed for good.
pub(crate) async fn run(client: Client, shared: Arc<Shared>, mut events: Receiver<()>) {
    let mut ears = match Ears::open(&client, &shared).await {
        Ok(ears) => ears,
        Err(error) => return shared.trouble(Some(format!("cannot listen: {error}"))),
    };
    let mut line = Line::new(&client);
    loop {
        line.look(&shared);
        shared.connection(client.connection_state() == Connection::Connected);
        let todo = shared.poll();
        let relisten = todo.concern == Concern::Stalled || shared.session() != ears.session;
        act(&client, &shared, &ears, todo).await;
        if relisten {
            match Ears::open(&client, &shared).await {
                Ok(opened) => ears = opened,
                Err(error) => return shared.trouble(Some(format!("cannot listen: {error}"))),
            }
            shared.happen(|replica, _| replica.connected());
            continue;
        }
        tokio::select! {
            message = ears.live.next() => match message {
                Some(message) => live(&shared, &mut line, &mut ears, &message),
                None => return shared.trouble(Some("the connection is closed".to_owned())),
            },
            message = ears.answers.next() => match message {
                Some(message) => answers(&shared, &mut line, &mut ears, &message),
                None => return shared.trouble(Some("the connection is closed".to_owned())),
            },
            // What happened is seen above, in time also when an event is late or lost.
            event = events.recv() => if event == Err(RecvError::Closed) { return },
            () = shared.wake.notified() => {}
            () = sleep_until(shared.clock.at(todo.wake_at)) => {}
        }
    }
}

fn live(shared: &Shared, line: &mut Line, ears: &mut Ears, first: &NatsMessage) {
    let mut apply = |message: &NatsMessage| {
        line.look(shared);
        if let Some(message) = message::read(&shared.layout, message) {
            shared.live(ears.session, message);
        }
    };
    apply(first);
    for _ in 0..BURST {
        let Some(Some(message)) = ears.live.next().now_or_never() else { return };
        apply(&message);
    }
}

fn answers(shared: &Shared, line: &mut Line, ears: &mut Ears, first: &NatsMessage) {
    line.look(shared);
    answer(shared, &ears.inbox, first);
    for _ in 0..BURST {
        let Some(Some(message)) = ears.answers.next().now_or_never() else { return };
        line.look(shared);
        answer(shared, &ears.inbox, &message);
    }
}

/// An answer to fetch or barrier `number`: the end of its subject says which.
fn answer(shared: &Shared, inbox: &str, message: &NatsMessage) {
    let name = message.subject.as_str().strip_prefix(inbox).and_then(|rest| rest.strip_prefix('.'));
    let Some((kind, number)) = name.and_then(|name| name.split_once('.')) else { return };
    let Ok(number) = number.parse::<u64>() else { return };
    if kind == "b" {
        // Anything else than a place is as good as no answer: it will be sent again.
        if let (None, Answer::Stored { seq, .. }) = (message.status, Answer::read(&message.payload))
            && let Err(alarm) = shared.happen(|replica, now| replica.acked(number, seq, now))
        {
            let stream = shared.layout.stream();
            tracing::error!(stream, given = alarm.given, applied = alarm.applied, "the log went back");
        }
        return;
    }
    let part = message::part(&shared.layout, message);
    shared.happen(|replica, now| match part {
        Part::Message { previous, message } => replica.fetched(number, previous, &message, now),
        Part::End { previous, pending } => replica.fetch_ended(number, previous, pending, now),
        Part::Failed => replica.fetch_failed(number, now),
    });
}

async fn act(client: &Client, shared: &Shared, ears: &Ears, todo: Todo) {
    let is_connected = client.connection_state() == Connection::Connected;
    match todo.concern {
        Concern::None => {}
        Concern::Reconnect => shared.count(|counts| counts.forced += 1),
        Concern::Stalled => shared.count(|counts| counts.stalled += 1),
    }
    if todo.concern != Concern::None && is_connected {
        let stream = shared.layout.stream();
        tracing::warn!(stream, concern = ?todo.concern, "barriers do not come back: connecting anew");
        let _ = timeout(HANDED_OVER, client.force_reconnect()).await;
    }
    // What is handed to the library without a connection is sent seconds later, when nobody wants it any more.
    if !is_connected {
        return;
    }
    if let Some(stamp) = todo.barrier {
        let subject = shared.layout.barrier(stamp.nonce, stamp.counter);
        let reply = format!("{}.b.{}", ears.inbox, stamp.counter);
        let sent = client.publish_with_reply(subject, reply, message::barrier(stamp));
        let _ = timeout(HANDED_OVER, sent).await;
    }
    if let Some(fetch) = todo.fetch {
        let subject = format!("$JS.API.DIRECT.GET.{}", shared.layout.stream());
        let reply = format!("{}.f.{}", ears.inbox, fetch.number);
        let body = format!(r#"{{"seq":{},"batch":{BATCH},"max_bytes":{BATCH_BYTES}}}"#, fetch.from);
        let _ = timeout(HANDED_OVER, client.publish_with_reply(subject, reply, body.into())).await;
    }
}

/// Watches whether the stream is the one that is followed, and the server one that may be followed. A stream that was deleted and
/// made again may be longer already, and then no barrier tells: nobody is served after a new connection until it was asked.
pub(crate) async fn guard(client: Client, shared: Arc<Shared>, mut created: String) {
    let mut tick = interval(IDENTITY_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shared.doubt.notified() => {}
            () = sleep(ASK_AGAIN), if shared.is_doubted() => {}
        }
        if client.connection_state() != Connection::Connected {
            continue;
        }
        if let Err(error) = check_version(&client) {
            shared.trouble(Some(error.to_string()));
            continue;
        }
        match stream::identity(&client, &shared.layout, IDENTITY_PATIENCE).await {
            Ok(Some(identity)) => {
                if identity != created {
                    created = identity;
                    shared.happen(Replica::regressed);
                }
                shared.trouble(None);
                shared.believe();
            }
            // Nothing is made in its place: that would be an empty index, which says that nothing exists.
            Ok(None) => {
                let text = format!("stream {} is gone", shared.layout.stream());
                tracing::error!("{text}");
                shared.trouble(Some(text));
            }
            Err(error) => tracing::debug!(%error, "the servers do not say which stream it is"),
        }
    }
}
