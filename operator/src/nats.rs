//! The Secret by which the chart's NATS servers and their clients know each other: made once, and never changed.
//!
//! The chart cannot make it: who renders a chart anew for every comparison, as Argo CD and Flux do, would get other values every time.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, PostParams};
use mediaorigin_crds::names;

use crate::election::seat::Place;
use crate::secret::{self, Unmade};

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(5);

/// The Secret with new values.
pub fn made(place: &Place) -> Result<Secret, Unmade> {
    let labels = [(names::LABEL_NAME, "mediaorigin-nats"), (names::LABEL_MANAGED_BY, names::MANAGER)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let metadata = ObjectMeta {
        name: Some(place.name.clone()),
        namespace: Some(place.namespace.clone()),
        labels: Some(BTreeMap::from(labels)),
        ..ObjectMeta::default()
    };
    Ok(Secret { metadata, data: Some(secret::coordination()?), ..Secret::default() })
}

/// Makes the Secret unless there is one; tries until it has. It reads none: the right to make one is all it needs.
pub async fn ensure_secret(client: Client, place: Place) {
    let api = Api::<Secret>::namespaced(client, &place.namespace);
    loop {
        let error = match made(&place) {
            Ok(secret) => match api.create(&PostParams::default(), &secret).await {
                Ok(_) => return tracing::info!(secret = place.name, "made the credentials of NATS"),
                Err(kube::Error::Api(status)) if status.code == 409 => return,
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!(secret = place.name, error, "cannot make the credentials of NATS, trying again");
        tokio::time::sleep(PAUSE).await;
    }
}
