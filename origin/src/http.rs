//! HTTP: the pure parts (`request`, `path`, `evaluate`, `range`, `cors`, `mime`, `response`) and the wiring (`app`, `admin`).

pub mod admin;
pub mod app;
pub mod body;
pub mod cors;
pub mod evaluate;
pub mod mime;
pub mod path;
pub mod range;
pub mod request;
pub mod response;

#[cfg(test)]
mod tests;
