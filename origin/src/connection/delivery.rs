//! A response on its way to the client, and what becomes of the connection after it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use actix_http::{Method, Version, body::MessageBody};
use bytes::Bytes;

use super::{
    drain::Stage,
    intake::Intake,
    outbox::Outbox,
    refusal::Refusal,
    respond::{Headed, Persistence, Transfer, framing, write_head},
    rules::{Phase, Traffic},
    run::{Connection, SendError},
};

/// Most bytes of an unread request body that are read for the sake of keeping the connection.
const REST_BYTES_MAX: u64 = 256 * 1024;

/// What becomes of the connection.
#[derive(Debug)]
pub(super) enum After {
    /// The next request.
    Next,
    /// The loop answers in place of the application and closes.
    Refuse(Refusal),
    /// Lingering close.
    Linger,
    /// Plain close.
    Close,
    /// Close by a reset, so that nobody takes what was sent for a whole response.
    Reset,
}

/// What the response needs to know of its request.
pub(super) struct Facts {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
    pub(super) intake: Option<Rc<Intake>>,
}

impl Facts {
    pub(super) fn is_read(&self) -> bool {
        [Method::GET, Method::HEAD].contains(&self.method)
    }

    /// Whether nobody reads the socket for the sake of the body any more.
    pub(super) fn body_is_complete(&self) -> bool {
        self.intake.as_ref().is_none_or(|intake| intake.is_complete())
    }
}

/// Sends the response and decides how the connection goes on.
pub(super) async fn deliver<H: Headed, B: MessageBody>(
    connection: &Connection,
    facts: &Facts,
    response: H,
    body: B,
) -> After {
    let worker = &connection.wire.worker;
    let is_head = facts.method == Method::HEAD;
    let (announce, transfer) = framing(is_head, facts.version, &response, body.size());
    let keeps = facts.keep_alive
        && transfer != Transfer::UntilClose
        && !response.asks_to_close()
        && connection.stays()
        && rest_is_small(facts);
    let hold = response.hold();
    let mut outbox = if hold.is_some() { Outbox::for_held() } else { Outbox::default() };
    if let Some(intake) = &facts.intake {
        outbox.push(intake.withhold_continue());
    }
    let persistence = if keeps { Persistence::Keep } else { Persistence::Close };
    let head = write_head(&response, announce, persistence, facts.version, &worker.date());
    connection.slot.begin(hold);
    drop(response);
    outbox.push(Bytes::from(head));
    // Without chunks and length only a reset says that the body is not whole, whatever ends it: the handler, a panic or
    // the end of the process.
    let ends_with_connection = transfer == Transfer::UntilClose;
    if ends_with_connection {
        connection.wire.reset_on_close();
    }
    let sent = send_body(connection, facts, body, transfer, &mut outbox).await;
    connection.slot.end();
    match sent {
        Sent::All => {
            if ends_with_connection {
                connection.wire.close_cleanly();
            }
            finish(connection, facts, persistence).await
        }
        Sent::Stalled => After::Reset,
        Sent::ClientGone | Sent::Cut => After::Close,
    }
}

/// Whether the drain leaves the connection open after this response.
pub(super) fn drain_keeps(stage: Stage, traffic: Traffic) -> bool {
    match stage {
        Stage::Open => true,
        Stage::Draining => traffic == Traffic::Uploads,
        Stage::Finishing => false,
    }
}

/// Whether what the handler left of the body is worth reading. A body that the handler still reads, while its response
/// streams, is not left.
fn rest_is_small(facts: &Facts) -> bool {
    let Some(intake) = &facts.intake else { return true };
    if intake.is_held() {
        return true;
    }
    // A client that was promised nothing may send its body or not: the next bytes cannot be told apart.
    if intake.owes_continue() {
        intake.discard_arrived();
        return intake.is_complete();
    }
    intake.rest().is_none_or(|rest| rest <= REST_BYTES_MAX)
}

/// How a body ended.
enum Sent {
    All,
    ClientGone,
    Stalled,
    /// The handler's body failed or had the wrong length.
    Cut,
}

/// Gathers what the handler has ready and writes it, until the body ends.
async fn send_body<B: MessageBody>(
    connection: &Connection,
    facts: &Facts,
    body: B,
    transfer: Transfer,
    outbox: &mut Outbox,
) -> Sent {
    let mut body = pin!(body);
    let mut left = match transfer {
        Transfer::Sized(length) => length,
        _ => u64::MAX,
    };
    let mut gathered = if transfer == Transfer::Nothing { Gathered::End } else { Gathered::Some };
    loop {
        if let Gathered::Some = gathered {
            gathered = gather(connection, facts, body.as_mut(), transfer, &mut left, outbox).await;
        }
        match connection.send(outbox).await {
            Ok(()) => {}
            Err(SendError::Cut) => return Sent::Stalled,
            Err(SendError::Write(error)) => {
                tracing::debug!(%error, "client left during a response");
                return Sent::ClientGone;
            }
        }
        match gathered {
            Gathered::Some => {}
            Gathered::End => return Sent::All,
            Gathered::Failed => return Sent::Cut,
            Gathered::ClientGone => return Sent::ClientGone,
        }
    }
}

/// What came of gathering.
enum Gathered {
    /// There is something to write and there may be more to come.
    Some,
    End,
    Failed,
    ClientGone,
}

/// Moves the items that are ready into the outbox; waits only while there is nothing to write.
async fn gather<B: MessageBody>(
    connection: &Connection,
    facts: &Facts,
    mut body: Pin<&mut B>,
    transfer: Transfer,
    left: &mut u64,
    outbox: &mut Outbox,
) -> Gathered {
    poll_fn(|context| {
        while outbox.has_room() {
            match body.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(data))) => {
                    let length = data.len() as u64;
                    if length > *left {
                        tracing::error!("a response body is longer than it said");
                        return Poll::Ready(Gathered::Failed);
                    }
                    match transfer {
                        Transfer::Chunked => outbox.push_chunk(data),
                        Transfer::Sized(_) => {
                            *left -= length;
                            outbox.push(data);
                        }
                        Transfer::Nothing | Transfer::UntilClose => outbox.push(data),
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let error: Box<dyn std::error::Error> = error.into();
                    tracing::debug!(%error, "a response body failed");
                    return Poll::Ready(Gathered::Failed);
                }
                Poll::Ready(None) => return Poll::Ready(end(transfer, *left, outbox)),
                Poll::Pending if !outbox.is_empty() => return Poll::Ready(Gathered::Some),
                Poll::Pending if facts.is_read() && facts.body_is_complete() => {
                    return connection.wire.poll_gone(context).map(|()| Gathered::ClientGone);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Gathered::Some)
    })
    .await
}

fn end(transfer: Transfer, left: u64, outbox: &mut Outbox) -> Gathered {
    match transfer {
        Transfer::Sized(_) if left > 0 => {
            tracing::error!("a response body is shorter than it said");
            Gathered::Failed
        }
        Transfer::Chunked => {
            outbox.push_last_chunk();
            Gathered::End
        }
        _ => Gathered::End,
    }
}

/// After the response: reads a small rest of the request's body, or closes in the way that fits.
async fn finish(connection: &Connection, facts: &Facts, persistence: Persistence) -> After {
    if let Some(intake) = &facts.intake {
        intake.close();
    }
    if persistence == Persistence::Keep {
        return if discard_rest(connection, facts).await { After::Next } else { After::Linger };
    }
    let client_is_done =
        !facts.keep_alive && facts.body_is_complete() && connection.wire.inbox.borrow().is_empty();
    if client_is_done { After::Close } else { After::Linger }
}

/// Reads what the handler left of the body; false when that is too much, too slow, or malformed.
async fn discard_rest(connection: &Connection, facts: &Facts) -> bool {
    let Some(intake) = facts.intake.as_ref().filter(|intake| !intake.is_complete()) else { return true };
    connection.slot.enter(Phase::Lingering);
    let mut budget = REST_BYTES_MAX;
    poll_fn(|context| {
        loop {
            match intake.poll_piece(context) {
                Poll::Ready(Ok(None)) => return Poll::Ready(true),
                Poll::Ready(Ok(Some(data))) if data.len() as u64 <= budget => budget -= data.len() as u64,
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending if connection.slot.poll_verdict(context).is_some() => {
                    return Poll::Ready(false);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
