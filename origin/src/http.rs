//! HTTP: the pure parts (`request`, `path`, `evaluate`, `range`, `cors`, `mime`, `view`, `caching`, `tags`, `described`, `response`) and the
//! wiring (`app`, `fast`, `admin`, `bearer`).

pub mod admin;
pub mod app;
pub mod bearer;
pub mod body;
pub mod caching;
pub mod cmcd;
pub mod coding;
pub mod cors;
pub mod described;
pub mod digests;
pub mod evaluate;
pub mod fast;
pub mod mime;
pub mod path;
pub mod range;
pub mod request;
pub mod response;
pub mod tags;
pub mod view;

#[cfg(test)]
mod tests;
