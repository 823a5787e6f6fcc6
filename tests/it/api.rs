//! The API as a real API server sees it: the rules of the definition, and the operator against it. Rows are those of
//! `docs/conformance-operator.md`.

mod bounds;
mod cel;
mod definition;
mod edits;
mod faults;
mod fleet;
mod operator;
mod running;
mod scale;
mod silence;
mod tenants;
mod verdicts;
mod world;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use mediaorigin_tests::apiserver::{ApiServer, MEDIA_ORIGINS, origin};
use serde_json::json;

/// A server with the definition, for tests that change nothing that others see. It ends with the last of those that use it.
fn shared() -> Arc<ApiServer> {
    static SHARED: Mutex<Weak<ApiServer>> = Mutex::new(Weak::new());
    // A start that failed is tried again: the first failure is the one to read.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(ApiServer::with_definition().unwrap());
        *shared = Arc::downgrade(&server);
        server
    })
}

#[test]
fn the_fixture_stores_an_origin_and_forgets_it() {
    let server = shared();
    let client = server.client();
    client.create(MEDIA_ORIGINS, &origin("fixture", &json!({}))).unwrap().success().unwrap();
    let path = format!("{MEDIA_ORIGINS}/fixture");
    assert_eq!(client.get(&path).unwrap().code, 200);
    let printed = server.kubectl_ok(&["get", "mediaorigin", "fixture", "-o", "name"], "").unwrap();
    assert_eq!(printed, "mediaorigin.mediaorigin.io/fixture\n");
    client.delete(&path).unwrap().success().unwrap();
    assert_eq!(client.get(&path).unwrap().code, 404);
}
