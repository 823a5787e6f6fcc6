//! Spans of requests and of what they ask of the tiers below memory, for whoever collects them by OTLP; nothing at all where nobody does.
//!
//! ```text
//! traceparent ─context→ Tracer.begin (sampled?) ─→ Span in the request's Entry ─drop→ bounded queue ─export→ POST /v1/traces
//!                                                   └─ scope: tier calls below it
//! ```
//!
//! Written here and not with the OpenTelemetry crates: those are sixteen more, two of them older versions of what is there, for one JSON
//! document that is posted with the HTTP client of the object store.

pub mod context;
pub mod export;
pub mod otlp;
pub mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Instant, SystemTime};

use crate::tiers::TierName;
use context::{SpanId, TraceId, TraceParent};
use settings::Sampler;

tokio::task_local! {
    /// The span of the request that a task answers, where it is sampled.
    static CURRENT: Parent;
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that came in.
    Server,
    /// Something that was done for it.
    Internal,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Words.
    Text(Box<str>),
    /// A number.
    Number(u64),
}

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its own name in it.
    pub id: SpanId,
    /// The span that it was done for.
    pub parent: Option<SpanId>,
    /// What it is of.
    pub kind: Kind,
    /// What was done, of a short list.
    pub name: &'static str,
    /// When.
    pub start: SystemTime,
    /// Until when.
    pub end: SystemTime,
    /// What there is to say about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// It went wrong through our fault.
    pub failed: bool,
}

/// A message to the exporter.
#[derive(Debug)]
pub enum Message {
    /// A span to export.
    Span(Box<Span>),
    /// Export what there is, and end.
    Stop,
}

/// Decides what is sampled, and takes what is finished.
#[derive(Clone, Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// The span of a request that is sampled, as far as it is known.
#[derive(Debug)]
pub struct Open {
    itself: Parent,
    above: Option<SpanId>,
}

/// What spans below one need.
#[derive(Clone, Debug)]
pub struct Parent {
    tracer: Tracer,
    trace: TraceId,
    id: SpanId,
    start: SystemTime,
    began: Instant,
}

impl Tracer {
    /// A tracer whose spans go to `queue`.
    pub fn new(sampler: Sampler, queue: SyncSender<Message>) -> Self {
        Self { sampler, queue, dropped: Arc::default() }
    }

    /// Spans that were dropped because the collector was behind.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The span of a request that came in at `start` with `above`; `None` where it is not sampled.
    pub fn begin(&self, above: Option<TraceParent>, start: SystemTime) -> Option<Open> {
        let trace = above.map_or_else(TraceId::random, |above| above.trace);
        let is_sampled = self.sampler.samples(trace, above.map(|above| above.is_sampled));
        is_sampled.then(|| Open {
            itself: Parent {
                tracer: self.clone(),
                trace,
                id: SpanId::random(),
                start,
                began: Instant::now(),
            },
            above: above.map(|above| above.span),
        })
    }

    /// Never waits: what finds no room is counted.
    fn export(&self, span: Span) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Open {
    /// What spans below this one need.
    pub fn parent(&self) -> Parent {
        self.itself.clone()
    }

    /// Ends the span of a request.
    pub fn end(&self, name: &'static str, attributes: Vec<(&'static str, Value)>, failed: bool) {
        let Self { itself: Parent { tracer, trace, id, start, began }, above } = self;
        tracer.export(Span {
            trace: *trace,
            id: *id,
            parent: *above,
            kind: Kind::Server,
            name,
            start: *start,
            end: *start + began.elapsed(),
            attributes,
            failed,
        });
    }
}

/// Does `work` for the request of `parent`; without one this is `work`.
pub async fn scope<T>(parent: Option<Parent>, work: impl Future<Output = T>) -> T {
    match parent {
        None => work.await,
        Some(parent) => Box::pin(CURRENT.scope(parent, work)).await,
    }
}

/// Does `work`, which is asked of `tier` where that is known, as a span below that of the request that this task answers. Outside of one
/// that is sampled this is `work`.
pub async fn step<T, E>(
    name: &'static str,
    tier: Option<TierName>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Ok(Parent { tracer, trace, id, start, began }) = CURRENT.try_with(Clone::clone) else {
        return work.await;
    };
    let since = began.elapsed();
    let result = work.await;
    let text = |tier: TierName| Value::Text(tier.as_str().into());
    tracer.export(Span {
        trace,
        id: SpanId::random(),
        parent: Some(id),
        kind: Kind::Internal,
        name,
        start: start + since,
        end: start + began.elapsed(),
        attributes: tier.map(|tier| ("mediaorigin.tier", text(tier))).into_iter().collect(),
        failed: result.is_err(),
    });
    result
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// The queue is full and nobody empties it: spans are counted and lost, and nobody waits.
    #[test]
    fn a_full_queue_drops_spans() {
        let (queue, messages) = sync_channel(2);
        let tracer = Tracer::new(Sampler::new(true, 1.0), queue);
        for _ in 0..5 {
            tracer.begin(None, SystemTime::UNIX_EPOCH).unwrap().end("GET", Vec::new(), false);
        }
        assert_eq!((tracer.dropped(), messages.try_iter().count()), (3, 2));
        drop(messages);
        tracer.begin(None, SystemTime::UNIX_EPOCH).unwrap().end("GET", Vec::new(), false);
        assert_eq!(tracer.dropped(), 4);
    }
}
