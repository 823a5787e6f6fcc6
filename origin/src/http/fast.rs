//! The fast part of the connection loop: reads of complete objects in memory, by the same rules as the application's.

use std::sync::Arc;

use actix_web::http::header::HeaderName;

use super::app;
use super::body::MediaBody;
use super::view::RequestView;
use crate::connection::{Client, Fast, HeadView, Reply};
use crate::origin::Origin;

/// The fast part of one origin's media port.
#[derive(Clone, Debug)]
pub struct Memory(pub Arc<Origin>);

impl Fast for Memory {
    type Body = MediaBody;

    fn answer(&self, head: &HeadView<'_>) -> Option<Reply<MediaBody>> {
        let Self(origin) = self;
        let (hot, now) = (origin.config.hot(), origin.clock.now());
        let answer = app::at_once(head, origin, &hot, now)?;
        let mut entry = app::entry(head, origin, now);
        entry.answered(&answer);
        Some(app::reply(head, &hot.policies, answer, entry))
    }
}

impl RequestView for HeadView<'_> {
    fn method(&self) -> &str {
        Self::method(self).as_str()
    }

    fn path(&self) -> &str {
        Self::path(self)
    }

    fn query(&self) -> Option<&str> {
        Self::query(self)
    }

    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        Self::lines(self, name)
    }

    fn client(&self) -> Client {
        self.client
    }
}

#[cfg(test)]
mod tests;
