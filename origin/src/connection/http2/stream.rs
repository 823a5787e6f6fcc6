//! One request and its response on a stream.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::{HttpMessage as _, Method, Payload, Request, Response, Version, body::MessageBody};
use actix_service::Service;
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http_types::request::Parts;

use super::{fields, sending::Outgoing, upload::Upload};
use crate::connection::{
    call::call,
    fast::Fast,
    refusal::Refusal,
    rules::Phase,
    run::{Connection, ask},
    view::{Client, HeadView},
};

/// What the client expects of its stream, beside the head.
pub(super) struct Stream {
    pub(super) respond: Rc<RefCell<SendResponse<Bytes>>>,
    pub(super) method: Method,
    /// Whether nobody needs the client's direction for the sake of the body any more.
    pub(super) is_complete: Rc<Cell<bool>>,
}

impl Stream {
    /// Whether the end of the client ends the request: of an upload that is complete it does not.
    pub(super) fn ends_with_client(&self) -> bool {
        [Method::GET, Method::HEAD].contains(&self.method) && self.is_complete.get()
    }
}

/// Answers a request.
pub(super) async fn answer<S, B, Q>(
    app: &S,
    fast: &Q,
    connection: &Connection,
    request: http_types::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) where
    S: Service<Request>,
    S::Error: Into<actix_web::Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
    Q: Fast,
{
    let worker = &connection.wire.worker;
    let (head, body) = request.into_parts();
    let Ok(method) = Method::from_bytes(head.method.as_str().as_bytes()) else { return };
    let stream = Stream {
        respond: Rc::new(RefCell::new(respond)),
        method,
        is_complete: Rc::new(Cell::new(body.is_end_stream())),
    };
    let slot = worker.registry.add();
    slot.enter(Phase::Busy);
    let outgoing = Outgoing::new(connection, &stream, slot);
    let lines = fields::lines(&head);
    let client = Client { peer: connection.wire.peer, is_certified: connection.wire.is_certified };
    let view =
        HeadView::of_stream(&stream.method, fields::target(&head), &lines, client, body.is_end_stream());
    let view = view.and_then(|view| {
        if lines.len() > worker.settings.headers_max { Err(Refusal::HeadersTooMany) } else { Ok(view) }
    });
    let view = match view {
        Ok(view) => view,
        Err(reason) => return outgoing.refuse(reason),
    };
    worker.counters.add_request();
    connection.slot.carry(!stream.method.is_safe());
    if let Some(quick) = worker.settings.fast.then(|| ask(fast, &view)).flatten() {
        let (head, body) = quick.reply.spelled_out().into_parts();
        return outgoing.send(head, body).await;
    }
    let request = match application_request(&stream, &view, &head, body, client) {
        Ok(request) => request,
        Err(reason) => return outgoing.refuse(reason),
    };
    let gone = |context: &mut Context<'_>| {
        let may_leave = stream.ends_with_client();
        if may_leave { stream.respond.borrow_mut().poll_reset(context).map(|_| ()) } else { Poll::Pending }
    };
    if let Some(response) = call(app, request, gone).await {
        let (head, body) = response.into_parts();
        outgoing.send(head, body).await;
    }
}

/// Makes the application's request.
fn application_request(
    stream: &Stream,
    view: &HeadView<'_>,
    head: &Parts,
    body: RecvStream,
    client: Client,
) -> Result<Request, Refusal> {
    let mut request = Request::new();
    request.extensions_mut().insert(client);
    if !body.is_end_stream() {
        let owed = view.awaits_continue.then(|| Rc::clone(&stream.respond));
        let upload = Upload::new(body, owed, Rc::clone(&stream.is_complete));
        *request.payload() = Payload::Stream { payload: Box::pin(upload) };
    }
    let target = request.head_mut();
    target.method = stream.method.clone();
    target.uri = fields::uri(fields::target(head))?;
    target.version = Version::HTTP_2;
    target.headers = fields::headers(view, head)?;
    target.peer_addr = client.peer;
    Ok(request)
}
