//! `kubectl mediaorigin`: how an origin is, why it is so, what its streams do, and what an encoder needs.
//!
//! ```text
//! cluster ─observe→ Observed (as the operator sees it) ┐
//! admin ports of the pods ─through the API server→ Asked ├─→ status, explain, streams, publisher: plain data in, text out
//! events, the operator's Deployment, keys of the Secret ┘
//! ```
//!
//! It plans with the operator's own pure function and writes nothing. A crate of its own and not a second program of the operator's:
//! it asks the pods, which the operator must not, and the operator's image is built from its package.

pub mod advice;
pub mod args;
pub mod asked;
pub mod events;
pub mod explain;
pub mod installation;
pub mod look;
pub mod pods;
pub mod publisher;
pub mod run;
pub mod status;
pub mod streams;
pub mod text;
