//! One request and its response.
//!
//! When does a client count as gone? While a GET or HEAD waits — for the handler (a long poll) or for the next item of a
//! stream — the end of the client's direction cancels it: a close and a half-close look the same until something is
//! written, long polls of viewers who left are common, and a GET whose client half-closes and still waits is not (nginx
//! decides likewise). An answer that is ready at once is sent even to a half-closed client. All other methods run to their
//! end once their body is complete: an encoder may well half-close, or exit, after a PUT, and its object must be stored. A
//! body that is not complete ends in an error item that the handler sees at its next poll.

use std::{
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::{HttpMessage as _, Method, Payload, Request, Response, Version, body::MessageBody};
use actix_service::Service;

use super::{
    call::call,
    delivery::{After, Facts, deliver},
    fast::Reply,
    framing::Framing,
    head::Head,
    intake::{Intake, Upload},
    refusal::Refusal,
    rules::Phase,
    run::Connection,
    view::Client,
};

/// Serves one request.
pub(super) async fn exchange<S, B>(app: &S, connection: &Connection, head: Head) -> After
where
    S: Service<Request>,
    S::Error: Into<actix_web::Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    connection.wire.worker.counters.add_request();
    connection.slot.enter(Phase::Busy);
    connection.slot.carry(!head.method.is_safe());
    let (request, facts) = admit(connection, head);
    let gone = |context: &mut Context<'_>| {
        let may_leave = facts.is_read() && facts.body_is_complete();
        if may_leave { connection.wire.poll_gone(context) } else { Poll::Pending }
    };
    let Some(response) = call(app, request, gone).await else { return After::Close };
    let after = if let Some(reason) = broken_body(&facts, &response) {
        After::Refuse(reason)
    } else {
        let (response, body) = response.into_parts();
        deliver(connection, &facts, response, body).await
    };
    if let Some(intake) = &facts.intake {
        intake.close();
    }
    after
}

/// A request that the fast part has answered.
pub(super) struct Quick<B> {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
    pub(super) reply: Reply<B>,
}

/// Sends the answer of the fast part.
pub(super) async fn hand_out<B: MessageBody>(connection: &Connection, quick: Quick<B>) -> After {
    let Quick { method, version, keep_alive, reply } = quick;
    connection.wire.worker.counters.add_request();
    connection.slot.carry(false);
    let facts = Facts { method, version, keep_alive, intake: None };
    let (head, body) = reply.into_parts();
    deliver(connection, &facts, head, body).await
}

/// Makes the application's request.
fn admit(connection: &Connection, head: Head) -> (Request, Facts) {
    let intake = (head.framing != Framing::Empty)
        .then(|| Intake::new(Rc::clone(&connection.wire), head.framing, head.awaits_continue));
    let facts = Facts {
        method: head.method.clone(),
        version: head.version,
        keep_alive: head.keep_alive,
        intake: intake.clone(),
    };
    let mut request = Request::new();
    if let Some(intake) = intake {
        *request.payload() = Payload::Stream { payload: Box::pin(Upload(intake)) };
    }
    let client = Client { peer: connection.wire.peer, is_certified: connection.wire.is_certified };
    request.extensions_mut().insert(client);
    let target = request.head_mut();
    target.method = head.method;
    target.uri = head.target;
    target.version = head.version;
    target.headers = head.headers;
    target.peer_addr = connection.wire.peer;
    (request, facts)
}

/// A malformed body is answered with 400 and closed, even if the handler took it for something else.
fn broken_body<B>(facts: &Facts, response: &Response<B>) -> Option<Refusal> {
    let intake = facts.intake.as_ref()?;
    intake.is_broken().then(|| {
        tracing::debug!(status = %response.status(), "the answer to a malformed body is replaced");
        Refusal::BodyMalformed
    })
}
