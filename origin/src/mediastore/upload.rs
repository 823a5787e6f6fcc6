//! The body of an upload on its way into the store: digested where somebody wants to know, given up where it breaks its word.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use super::{Dialect, sigv4, strict};
use crate::digest::{Digest, Hasher};
use crate::http::request::{Reject, WriteRequest};
use crate::http::response::Answer;
use crate::http::view::RequestView;
use crate::outcome::Outcome;

/// What is demanded of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demands {
    /// The digest that was announced.
    digest: Option<Digest>,
    /// Whether the digest is told in the answer.
    tells: bool,
    bytes_max: u64,
    time_max: Option<Duration>,
}

/// A body that is watched. It ends in an error where it breaks a demand; [`Findings`] say which.
pub struct Watched<S> {
    body: S,
    demands: Demands,
    hasher: Hasher,
    received: u64,
    deadline: Option<Pin<Box<Sleep>>>,
    findings: Findings,
}

/// What was found out about a body when it is over.
#[derive(Clone, Debug, Default)]
pub struct Findings(Rc<RefCell<Found>>);

#[derive(Debug, Default)]
struct Found {
    digest: Option<Digest>,
    fault: Option<Fault>,
}

/// How a body broke a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its digest is another one than was announced.
    Digest,
    /// It is larger than so many bytes.
    TooLarge(u64),
    /// It took longer than this.
    Slow(Duration),
}

impl Demands {
    /// Those of a request, or what is wrong with it.
    pub fn of(
        request: &impl RequestView,
        write: &WriteRequest,
        dialect: Dialect,
        is_strict: bool,
    ) -> Result<Self, Reject> {
        Ok(Self {
            digest: announced(request)?,
            tells: dialect != Dialect::Plain,
            bytes_max: if is_strict { strict::bytes_max(write.visibility) } else { u64::MAX },
            time_max: is_strict.then_some(strict::UPLOAD_TIME_MAX),
        })
    }
}

/// The digest in `x-amz-content-sha256`. A body in AWS's own chunks would be stored with their frames: it is refused.
fn announced(request: &impl RequestView) -> Result<Option<Digest>, Reject> {
    match request.text(&sigv4::CONTENT_DIGEST) {
        None => Ok(None),
        Some(text) if text == sigv4::UNSIGNED => Ok(None),
        Some(text) => Digest::from_hex(&text).map(Some).ok_or_else(|| {
            let name = sigv4::CONTENT_DIGEST;
            Reject::malformed(format!("{name} is neither 64 hexadecimal digits nor {}", sigv4::UNSIGNED))
        }),
    }
}

impl<S> Watched<S> {
    /// Watches `body`; its time runs from now on.
    pub fn new(body: S, demands: Demands) -> (Self, Findings) {
        let findings = Findings::default();
        let deadline = demands.time_max.map(|most| Box::pin(sleep(most)));
        let watched = Self {
            body,
            demands,
            hasher: Hasher::default(),
            received: 0,
            deadline,
            findings: findings.clone(),
        };
        (watched, findings)
    }

    fn take(&mut self, bytes: Bytes) -> Result<Bytes, Fault> {
        self.received += bytes.len() as u64;
        if self.received > self.demands.bytes_max {
            return Err(Fault::TooLarge(self.demands.bytes_max));
        }
        if self.demands.tells || self.demands.digest.is_some() {
            self.hasher.update(&bytes);
        }
        Ok(bytes)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let digest = self.hasher.digest();
        if self.demands.digest.is_some_and(|announced| announced != digest) {
            return Err(Fault::Digest);
        }
        if self.demands.tells {
            self.findings.0.borrow_mut().digest = Some(digest);
        }
        Ok(())
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready())
    }
}

impl<S, E> Stream for Watched<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: fmt::Display,
{
    type Item = Result<Bytes, BodyError<E>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.findings.fault().is_some() {
            return Poll::Ready(None);
        }
        let result = if this.is_late(context) {
            Err(Fault::Slow(strict::UPLOAD_TIME_MAX))
        } else {
            match Pin::new(&mut this.body).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(bytes))) => this.take(bytes).map(Some),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyError::Broken(error)))),
                Poll::Ready(None) => this.end().map(|()| None),
            }
        };
        Poll::Ready(match result {
            Ok(bytes) => bytes.map(Ok),
            Err(fault) => {
                this.findings.0.borrow_mut().fault = Some(fault);
                Some(Err(BodyError::Fault(fault)))
            }
        })
    }
}

impl Findings {
    /// The digest of a body that came whole.
    pub fn digest(&self) -> Option<Digest> {
        self.0.borrow().digest
    }

    fn fault(&self) -> Option<Fault> {
        self.0.borrow().fault
    }

    /// The answer to an upload that was given up because of its body, in place of `answer`.
    pub fn judge(&self, answer: Answer) -> Answer {
        let Some(fault) = self.fault() else { return answer };
        let (status, outcome, text) = match fault {
            Fault::Digest => {
                let text = "the body is not the one that x-amz-content-sha256 announced";
                (StatusCode::BAD_REQUEST, Outcome::Broken, text.to_owned())
            }
            Fault::TooLarge(most) => {
                let Reject { status, outcome, text } = strict::too_large(most);
                (status, outcome, text)
            }
            Fault::Slow(most) => {
                let text = format!("the upload took longer than MediaStore's {} seconds", most.as_secs());
                (StatusCode::REQUEST_TIMEOUT, Outcome::Stalled, text)
            }
        };
        let close = fault != Fault::Digest;
        Answer { close, class: answer.class, ..Answer::text(status, outcome, &text) }
    }
}

/// Why a watched body ends early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError<E: fmt::Display> {
    /// As it came.
    #[error("{0}")]
    Broken(E),
    /// It broke a demand.
    #[error("{0:?}")]
    Fault(Fault),
}
