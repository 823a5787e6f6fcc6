//! The one integration binary: scripts, rules about the source, and (`e2e::`) the product on a real cluster.

mod e2e;
mod scenarios;
mod tidy;
