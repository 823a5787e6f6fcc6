//! The identity of the pods: a `ServiceAccount` that may do nothing and whose token is not mounted.

use serde_json::{Map, json};

use super::Child;
use crate::observed::Observed;
use crate::part::Part;

/// The `ServiceAccount` of an origin.
pub fn service_account(observed: &Observed) -> Child {
    Child::new(Part::ServiceAccount, observed, &Map::new(), json!({ "automountServiceAccountToken": false }))
}
