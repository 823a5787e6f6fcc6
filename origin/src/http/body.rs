//! The body of an answer: a text, the bytes of a version as they are or come, or only a length (HEAD).

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::access_log::Entry;
use crate::memory::blob::Read;
use crate::memory::object::Reader;
use crate::tiers::pieces::ColdReader;

/// Where the bytes come from.
#[derive(Debug)]
pub enum Content {
    /// Nothing, and no `Content-Length` (204, 304).
    None,
    /// A text of our own.
    Text(Bytes),
    /// The headers of this size without the bytes; `None` for a length that nobody knows yet.
    Head(Option<u64>),
    /// So many bytes of a version.
    Sized(Reader, u64),
    /// So many bytes of a version that is not in memory.
    Cold(Box<ColdReader>, u64),
    /// A version that is being written, to its end.
    Stream(Reader),
}

impl Content {
    /// Whether the bytes come from below memory.
    pub fn is_cold(&self) -> bool {
        matches!(self, Self::Cold(..))
    }

    /// Who reads the bytes of a version, where there are any.
    pub fn reader(&self) -> Option<&Reader> {
        match self {
            Self::Sized(reader, _) | Self::Stream(reader) => Some(reader),
            Self::None | Self::Text(_) | Self::Head(_) | Self::Cold(..) => None,
        }
    }
}

/// The body of an answer. It counts what it gives away, and the access log has its line when it is dropped.
#[derive(Debug)]
pub struct MediaBody {
    content: Content,
    /// Boxed: a body is handed on many times before it is sent.
    entry: Box<Entry>,
}

/// The writer is gone: the connection must be cut, so that nothing looks complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upload was given up")]
pub struct WriterGone;

impl MediaBody {
    /// A body whose end writes `entry`.
    pub fn new(content: Content, entry: Box<Entry>) -> Self {
        Self { content, entry }
    }
}

impl MessageBody for MediaBody {
    type Error = WriterGone;

    fn size(&self) -> BodySize {
        match &self.content {
            Content::None => BodySize::None,
            Content::Text(text) => BodySize::Sized(text.len() as u64),
            Content::Head(Some(length)) | Content::Sized(_, length) | Content::Cold(_, length) => {
                BodySize::Sized(*length)
            }
            Content::Head(None) | Content::Stream(_) => BodySize::Stream,
        }
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WriterGone>>> {
        let this = self.get_mut();
        let read = match &mut this.content {
            Content::None | Content::Head(_) => return Poll::Ready(None),
            Content::Text(text) if text.is_empty() => return Poll::Ready(None),
            Content::Text(text) => Read::Bytes(mem::take(text)),
            Content::Sized(reader, _) | Content::Stream(reader) => match reader.poll_next(cx) {
                Poll::Ready(read) => read,
                Poll::Pending => return Poll::Pending,
            },
            Content::Cold(reader, _) => match reader.poll_next(cx) {
                Poll::Ready(read) => read,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(match read {
            Read::Bytes(bytes) => {
                this.entry.sent(bytes.len());
                Some(Ok(bytes))
            }
            Read::End => None,
            Read::Aborted => {
                this.entry.cut();
                Some(Err(WriterGone))
            }
        })
    }
}
