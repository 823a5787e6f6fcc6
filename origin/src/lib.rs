//! The origin.

pub mod connection;
