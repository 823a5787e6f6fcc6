//! A request for tests of what looks at heads only.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::RequestView;
use crate::connection::Client;

/// A head.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

impl Sample {
    pub(crate) fn new(method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let mut sample =
            Self { method: method.to_owned(), target: target.to_owned(), headers: HeaderMap::new() };
        for (name, value) in headers {
            sample.headers.append(header(name), HeaderValue::from_str(value).unwrap());
        }
        sample
    }

    /// A head as it is on the wire.
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut first = lines.next().unwrap().split(' ');
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).collect();
        Self::new(method, target, &headers)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(header(name), HeaderValue::from_str(value).unwrap());
    }
}

fn header(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap()
}

impl RequestView for Sample {
    fn method(&self) -> &str {
        &self.method
    }

    fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_all(name).map(HeaderValue::as_bytes)
    }

    fn client(&self) -> Client {
        Client::default()
    }
}
