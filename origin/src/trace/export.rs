//! The one thread that posts spans. It is behind a bounded queue: a collector that is slow, or gone, costs spans and nothing else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::settings::Settings;
use super::{Message, Span, Tracer, otlp};

/// Spans of one post at most.
const BATCH_MAX: usize = 512;

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no HTTP client.
    #[error("the exporter of spans has no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// There is no thread.
    #[error("the exporter of spans cannot start: {0}")]
    Thread(#[from] io::Error),
}

/// A running exporter. When it is dropped the last spans are posted, up to [`BATCH_MAX`]; that takes no longer than two posts may.
#[derive(Debug)]
pub struct Exporter {
    queue: SyncSender<Message>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts it, and the tracer that feeds it.
    pub fn start(settings: Settings) -> Result<(Self, Tracer), ExportError> {
        // Set where the object store was opened first; the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut client = reqwest::Client::builder().timeout(settings.timeout);
        if rustls_native_certs::load_native_certs().certs.is_empty() {
            // In an image of one program, say: without root certificates there is no client, and a collector next door speaks no TLS.
            client = client.tls_certs_only([]);
        }
        let client = client.build()?;
        let (queue, messages) = sync_channel(settings.queue_max);
        let tracer = Tracer::new(settings.sampler, queue.clone());
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = std::thread::Builder::new().name("spans".to_owned()).spawn(move || {
            let mut is_failing = false;
            run(&messages, &settings, &ends, |spans| {
                let posted = runtime.block_on(post(&client, &settings, spans));
                if let Err(error) = &posted
                    && !is_failing
                {
                    let spans = spans.len();
                    tracing::warn!(%error, spans, "spans cannot be exported; this is said once until it works again");
                }
                is_failing = posted.is_err();
            });
        })?;
        Ok((Self { queue, is_over, thread: Some(thread) }, tracer))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // A full queue wakes it as well.
        let _ = self.queue.try_send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Gathers spans until there are enough, or the first has waited long enough.
fn run(messages: &Receiver<Message>, settings: &Settings, ends: &AtomicBool, mut post: impl FnMut(&[Span])) {
    let mut batch: Vec<Span> = Vec::new();
    let mut due: Option<Instant> = None;
    loop {
        let message = match due {
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => messages.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        let is_told = match message {
            Ok(Message::Span(span)) => {
                batch.push(*span);
                due = due.or_else(|| Some(Instant::now() + settings.delay));
                false
            }
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
        };
        let is_over = is_told || ends.load(Ordering::Acquire);
        if is_over {
            let rest = messages.try_iter().filter_map(|message| match message {
                Message::Span(span) => Some(*span),
                Message::Stop => None,
            });
            batch.extend(rest.take(BATCH_MAX.saturating_sub(batch.len())));
        }
        let is_due = due.is_some_and(|due| due <= Instant::now());
        if !batch.is_empty() && (is_over || is_due || batch.len() >= BATCH_MAX) {
            post(&batch);
            batch.clear();
            due = None;
        }
        if is_over {
            return;
        }
    }
}

async fn post(client: &reqwest::Client, settings: &Settings, spans: &[Span]) -> Result<(), reqwest::Error> {
    let body = otlp::document(&settings.resource, spans).to_string();
    let mut request = client.post(&settings.url).header("content-type", "application/json").body(body);
    for (name, value) in &settings.headers {
        request = request.header(name, value);
    }
    request.send().await?.error_for_status()?;
    Ok(())
}
