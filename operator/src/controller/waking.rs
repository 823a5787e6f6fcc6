//! Whose reconcile something calls for. Whoever is woken waits in the queue from then on, until the reconcile begins.

use std::sync::Arc;

use futures_util::{Stream, stream};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use mediaorigin_crds::names;
use tokio::sync::mpsc;

use super::Guarded;
use crate::agents::Key;
use crate::metrics::Metrics;

/// Origins whose pods said something new.
pub(super) type News = Arc<tokio::sync::Mutex<mpsc::Receiver<Key>>>;

/// Says whose reconcile a change of something else calls for, and that it waits from now on.
pub(super) struct Waker(pub(super) Arc<Metrics>);

impl Waker {
    /// A child belongs to the origin that owns it, whatever its labels say.
    pub(super) fn of<K>(
        self,
    ) -> impl Fn(PartialObjectMeta<K>) -> Option<ObjectRef<Guarded>> + Send + Sync + 'static {
        move |child| {
            let is_origin = |owner: &&OwnerReference| {
                owner.kind == names::KIND && owner.api_version == names::API_VERSION
            };
            let owner = child.metadata.owner_references.iter().flatten().find(is_origin)?;
            Some(self.wake(child.metadata.namespace.as_ref()?, &owner.name))
        }
    }

    /// Pods belong to `ReplicaSets`; their origin's name is a label.
    pub(super) fn of_pod(
        self,
    ) -> impl Fn(PartialObjectMeta<Pod>) -> Option<ObjectRef<Guarded>> + Send + Sync + 'static {
        move |pod| {
            let labels = pod.metadata.labels.as_ref()?;
            Some(self.wake(pod.metadata.namespace.as_ref()?, labels.get(names::LABEL_INSTANCE)?))
        }
    }

    fn wake(&self, namespace: &str, name: &str) -> ObjectRef<Guarded> {
        self.0.awaits((namespace.to_owned(), name.to_owned()));
        ObjectRef::new(name).within(namespace)
    }
}

/// Origins whose pods said something new. Only one controller listens at a time: the one that acts.
pub(super) fn heard(
    news: News,
    metrics: Arc<Metrics>,
) -> impl Stream<Item = ObjectRef<Guarded>> + Send + 'static {
    stream::unfold((news, metrics), |(news, metrics)| async move {
        let (namespace, name) = news.lock().await.recv().await?;
        metrics.awaits((namespace.clone(), name.clone()));
        Some((ObjectRef::new(&name).within(&namespace), (news, metrics)))
    })
}
