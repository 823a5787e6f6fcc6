//! The body of an answer to another pod. It has its place among the answers until it is dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::fleet::peers::{Counters, count};
use crate::http::body::WriterGone;
use crate::memory::blob::Read;
use crate::memory::object::Reader;

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Content {
    /// The headers of this length without the bytes; `None` for one that nobody knows yet.
    Head(Option<u64>),
    /// A version: so many bytes more, or all until its end.
    Version { reader: Reader, left: Option<u64> },
}

/// The body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) content: Content,
    pub(super) place: Option<OwnedSemaphorePermit>,
    pub(super) counters: Option<Arc<Counters>>,
}

impl MessageBody for Answer {
    type Error = WriterGone;

    fn size(&self) -> BodySize {
        let (Content::Head(length) | Content::Version { left: length, .. }) = &self.content;
        length.map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WriterGone>>> {
        let this = self.get_mut();
        let Content::Version { reader, left } = &mut this.content else { return Poll::Ready(None) };
        Poll::Ready(match ready!(reader.poll_next(cx)) {
            Read::Bytes(bytes) => {
                if let Some(left) = left {
                    *left = left.saturating_sub(bytes.len() as u64);
                }
                if let Some(counters) = &this.counters {
                    count(&counters.sent, bytes.len());
                }
                Some(Ok(bytes))
            }
            Read::End if left.is_none_or(|left| left == 0) => {
                // The place is free for the next one, whenever the connection asks for more.
                this.place = None;
                None
            }
            // Shorter than was promised, or given up: the connection is cut, so that nothing looks complete.
            Read::End | Read::Aborted => Some(Err(WriterGone)),
        })
    }
}
