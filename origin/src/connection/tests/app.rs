//! The toy application: one handler per behaviour, and a probe by which a test follows and steers it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, Responder,
    body::{BodySize, MessageBody, SizedStream},
    dev::{ServiceFactory, ServiceRequest},
    web,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Semaphore;

/// Longest body of the handlers below: the fuzz test also damages the digits of a size.
const BODY_BYTES_MAX: usize = 100_000_000;

/// What handlers tell and wait for.
#[derive(Clone)]
pub(super) struct Probe(Arc<State>);

struct State {
    started: AtomicUsize,
    waiting: AtomicUsize,
    cancelled: AtomicUsize,
    /// Permits let waiting handlers and streams go on.
    gate: Semaphore,
    /// What uploads came to, in order.
    uploads: std::sync::Mutex<Vec<String>>,
}

impl Default for Probe {
    fn default() -> Self {
        Self(Arc::new(State {
            started: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            uploads: std::sync::Mutex::default(),
        }))
    }
}

impl Probe {
    /// Handlers that have begun.
    pub(super) fn started(&self) -> usize {
        self.0.started.load(SeqCst)
    }

    /// Waits that have begun.
    pub(super) fn waiting(&self) -> usize {
        self.0.waiting.load(SeqCst)
    }

    /// Waiting handlers and streams that were dropped.
    pub(super) fn cancelled(&self) -> usize {
        self.0.cancelled.load(SeqCst)
    }

    /// Lets one waiting step go on.
    pub(super) fn open_gate(&self) {
        self.0.gate.add_permits(1);
    }

    /// The outcomes of uploads so far.
    pub(super) fn uploads(&self) -> Vec<String> {
        self.0.uploads.lock().unwrap().clone()
    }

    fn note(&self, outcome: String) {
        self.0.uploads.lock().unwrap().push(outcome);
    }

    async fn pass_gate(&self) {
        self.0.waiting.fetch_add(1, SeqCst);
        let guard = CancelGuard(Some(self.clone()));
        self.0.gate.acquire().await.unwrap().forget();
        guard.defuse();
    }
}

/// Counts a wait that was dropped.
struct CancelGuard(Option<Probe>);

impl CancelGuard {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(probe) = &self.0 {
            probe.0.cancelled.fetch_add(1, SeqCst);
        }
    }
}

/// The application.
pub(super) fn app(
    probe: Probe,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(web::Data::new(probe))
        .app_data(web::PayloadConfig::new(1 << 30))
        .route("/hello", web::to(hello))
        .route("/target{tail:.*}", web::to(target))
        .route("/large/{size}", web::to(large))
        .route("/empty/{status}", web::to(empty))
        .route("/length/{length}", web::to(own_length))
        .route("/store", web::to(store))
        .route("/wait", web::to(wait))
        .route("/wait-and-store", web::to(wait_and_store))
        .route("/store-and-wait", web::to(store_and_wait))
        .route("/refuse/{status}", web::to(refuse))
        .route("/swallow", web::to(swallow))
        .route("/detach", web::to(detach))
        .route("/echo", web::to(echo))
        .route("/gated", web::to(gated))
        .route("/items/{count}/{size}", web::to(items))
        .route("/broken", web::to(broken))
        .route("/mismatch/{said}/{sent}", web::to(mismatch))
        .route("/panic", web::to(panics))
        .route("/close", web::to(close))
}

async fn hello(probe: web::Data<Probe>) -> &'static str {
    probe.0.started.fetch_add(1, SeqCst);
    "hello"
}

async fn target(request: HttpRequest) -> String {
    format!("{} {}", request.method(), request.uri())
}

async fn large(size: web::Path<usize>) -> Bytes {
    Bytes::from(vec![b'x'; (*size).min(BODY_BYTES_MAX)])
}

async fn empty(status: web::Path<u16>) -> HttpResponse {
    HttpResponse::build(actix_web::http::StatusCode::from_u16(*status).unwrap()).body("never sent")
}

async fn own_length(length: web::Path<u64>) -> HttpResponse {
    HttpResponse::Ok().insert_header(("content-length", length.to_string())).finish()
}

/// Reads the whole body and says what it was.
async fn store(probe: web::Data<Probe>, mut body: web::Payload) -> HttpResponse {
    probe.0.started.fetch_add(1, SeqCst);
    let guard = CancelGuard(Some(Probe::clone(&probe)));
    let (mut length, mut sum) = (0, 0_u64);
    while let Some(piece) = body.next().await {
        match piece {
            Ok(data) => {
                length += data.len();
                sum += data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            Err(error) => {
                guard.defuse();
                probe.note(format!("failed after {length}: {error:?}"));
                return HttpResponse::InternalServerError().finish();
            }
        }
    }
    guard.defuse();
    probe.note(format!("stored {length}"));
    HttpResponse::Created().body(format!("{length} {sum}"))
}

async fn wait(probe: web::Data<Probe>) -> &'static str {
    probe.0.started.fetch_add(1, SeqCst);
    probe.pass_gate().await;
    "waited"
}

async fn wait_and_store(probe: web::Data<Probe>, body: web::Payload) -> HttpResponse {
    probe.pass_gate().await;
    store(probe, body).await
}

async fn store_and_wait(probe: web::Data<Probe>, body: Bytes) -> String {
    probe.0.started.fetch_add(1, SeqCst);
    probe.pass_gate().await;
    probe.note(format!("stored {}", body.len()));
    format!("{}", body.len())
}

/// Answers without a look at the body.
async fn refuse(status: web::Path<u16>, probe: web::Data<Probe>) -> HttpResponse {
    probe.0.started.fetch_add(1, SeqCst);
    HttpResponse::build(actix_web::http::StatusCode::from_u16(*status).unwrap()).body("refused")
}

/// Takes any body for a success, also a broken one.
async fn swallow(mut body: web::Payload) -> &'static str {
    while let Some(Ok(_)) = body.next().await {}
    "fine"
}

/// Answers while a task of its own still holds the payload.
async fn detach(mut body: web::Payload, probe: web::Data<Probe>) -> &'static str {
    actix_web::rt::spawn(async move {
        probe.0.gate.acquire().await.unwrap().forget();
        let outcome = body.next().await;
        probe.note(format!("{outcome:?}"));
    });
    "detached"
}

/// Sends the body back while it is read.
async fn echo(body: web::Payload) -> HttpResponse {
    HttpResponse::Ok().streaming(body)
}

/// Yields one item per permit, three in all.
async fn gated(probe: web::Data<Probe>) -> HttpResponse {
    probe.0.started.fetch_add(1, SeqCst);
    let probe = Probe::clone(&probe);
    HttpResponse::Ok().streaming(stream::iter(0..3).then(move |index| {
        let probe = probe.clone();
        async move {
            probe.pass_gate().await;
            Ok::<_, Error>(Bytes::from(format!("item {index}")))
        }
    }))
}

async fn items(path: web::Path<(usize, usize)>) -> HttpResponse {
    let (count, size) = path.into_inner();
    let count = count.min(BODY_BYTES_MAX / size.clamp(100, BODY_BYTES_MAX));
    let size = size.min(BODY_BYTES_MAX);
    let item = Bytes::from(vec![b'y'; size]);
    HttpResponse::Ok().streaming(stream::iter((0..count).map(move |_| Ok::<_, Error>(item.clone()))))
}

/// Fails after one item.
async fn broken() -> HttpResponse {
    let items = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the source failed"))];
    HttpResponse::Ok().streaming(stream::iter(items))
}

/// Says one length and sends another.
async fn mismatch(path: web::Path<(u64, usize)>) -> impl Responder {
    let (said, sent) = path.into_inner();
    let data = Bytes::from(vec![b'z'; sent]);
    let body = SizedStream::new(said, stream::iter([Ok::<_, std::io::Error>(data)]));
    assert_eq!(body.size(), BodySize::Sized(said));
    HttpResponse::Ok().body(body)
}

async fn panics() -> &'static str {
    panic!("a handler panicked, as the test wants")
}

async fn close() -> HttpResponse {
    HttpResponse::Ok().force_close().body("bye")
}
