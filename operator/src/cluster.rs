//! The API server as the operator uses it: every call has a deadline and an error that says what was attempted.

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Pod, PodCondition, Secret};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{MediaOrigin, MediaOriginStatus};
use serde_json::{Value, json};
use tower::timeout::TimeoutLayer;

use crate::election::seat::Place;
use crate::observed::selector_text;
use crate::part::Part;
use crate::secret::{self, Unmade};

/// Deadline of one call, retries of the client included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The client gives up a connection on which nothing arrives; watches end by themselves before that.
const READ_TIMEOUT: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pods of one origin that are looked at.
const PODS_MAX: u32 = 500;
/// Autoscalers of a namespace that are looked at.
const AUTOSCALERS_MAX: u32 = 500;

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The API server or the way to it.
    #[error("cannot {attempt}: {}", brief(.source))]
    Call {
        /// What was attempted: `read Deployment media/live`.
        attempt: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// What was to be written could not be made.
    #[error("cannot {attempt}: {source}")]
    Local {
        /// What was attempted.
        attempt: String,
        /// Why.
        source: Unmade,
    },
    /// No answer in time.
    #[error("cannot {attempt}: no answer within {}s", CALL_TIMEOUT.as_secs())]
    Timeout {
        /// What was attempted.
        attempt: String,
    },
}

impl ClusterError {
    /// The API server's words where it has refused the content of a write, so that repeating it is pointless.
    pub fn refusal(&self) -> Option<&str> {
        let Self::Call { source, .. } = self else { return None };
        match source.as_ref() {
            kube::Error::Api(status) if [400, 403, 422].contains(&status.code) => Some(&status.message),
            _ => None,
        }
    }

    /// The kind is not there at all: to that the API server answers no `Status` of its own.
    pub fn is_unknown_kind(&self) -> bool {
        let is_ours = |status: &kube::core::Status| status.reason == "NotFound" && status.details.is_some();
        self.is_not_found()
            && matches!(self, Self::Call { source, .. } if !matches!(source.as_ref(), kube::Error::Api(status) if is_ours(status)))
    }

    /// Somebody else has written first, or the object is not the one that was meant.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Call { source, .. } if matches!(source.as_ref(), kube::Error::Api(status) if status.code == 409))
    }

    /// The object, or its whole kind, is not there. By the code alone: for a missing kind the API server answers no `Status`.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Call { source, .. } if matches!(source.as_ref(), kube::Error::Api(status) if status.code == 404))
    }
}

/// What became of looking for a child.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// The cluster does not know its kind.
    NoSuchKind,
    /// As it is stored.
    Child(Value),
}

/// The API server.
#[derive(Clone)]
pub struct Cluster {
    /// The client below, for watches and events.
    pub client: Client,
}

impl Cluster {
    /// Connects as the environment says: in a pod or by kubeconfig.
    pub async fn connect() -> Result<Self, anyhow::Error> {
        Ok(Self { client: client(true).await? })
    }

    /// The origin as stored, or nothing.
    pub async fn origin(&self, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &origins());
        let object = within(format!("read {} {namespace}/{name}", names::KIND), api.get_opt(name)).await?;
        Ok(object.map(|object| json!(object)))
    }

    /// The child of `origin` as stored, or nothing. The values of a Secret are left out: nobody decides by them.
    pub async fn child(&self, part: Part, namespace: &str, origin: &str) -> Result<Found, ClusterError> {
        let attempt = attempt("read", part, namespace, origin);
        let found = within(attempt, self.children(part, namespace).get(&part.name(origin))).await;
        let mut child = match found {
            Ok(object) => json!(object),
            Err(error) if error.is_unknown_kind() => return Ok(Found::NoSuchKind),
            Err(error) if error.is_not_found() => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        if part.is_secret() {
            secret::redact(&mut child);
        }
        Ok(Found::Child(child))
    }

    /// The origin's pods.
    pub async fn pods(&self, namespace: &str, name: &str) -> Result<Vec<Pod>, ClusterError> {
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().labels(&selector_text(name)).limit(PODS_MAX);
        let list = within(format!("list the pods of {namespace}/{name}"), api.list(&params)).await?;
        Ok(list.items)
    }

    /// Names of the autoscalers that name the origin's Deployment, which KEDA makes too. Where they may not be listed, none.
    pub async fn rivals(&self, namespace: &str, origin: &str) -> Result<Vec<String>, ClusterError> {
        let api = Api::<HorizontalPodAutoscaler>::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().limit(AUTOSCALERS_MAX);
        let attempt = format!("list the autoscalers of {namespace}");
        let list = match within(attempt, api.list(&params)).await {
            Ok(list) => list.items,
            Err(error) if error.refusal().is_some() || error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let of_ours = |autoscaler: &HorizontalPodAutoscaler| {
            let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
            target.is_some_and(|target| {
                target.kind == "Deployment" && target.name == Part::Deployment.name(origin)
            })
        };
        Ok(list.into_iter().filter(of_ours).filter_map(|autoscaler| autoscaler.metadata.name).collect())
    }

    /// Makes the fields of `body` ours and as they say; what we applied before and is not in `body` goes.
    pub async fn apply(
        &self,
        part: Part,
        namespace: &str,
        origin: &str,
        body: &Value,
    ) -> Result<(), ClusterError> {
        let params = PatchParams::apply(names::MANAGER).force().validation_strict();
        let api = self.children(part, namespace);
        let (name, patch) = (part.name(origin), Patch::Apply(body));
        within(attempt("apply", part, namespace, origin), api.patch(&name, &params, &patch)).await?;
        Ok(())
    }

    /// Deletes the child with this uid; one that is gone, or another one of its name, is none of our business.
    pub async fn delete(
        &self,
        part: Part,
        namespace: &str,
        origin: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let api = self.children(part, namespace);
        let done =
            within(attempt("delete", part, namespace, origin), api.delete(&part.name(origin), &params)).await;
        match done {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A Secret with its values.
    pub async fn secret(&self, part: Part, namespace: &str, origin: &str) -> Result<Secret, ClusterError> {
        let api = self.secrets(namespace);
        within(attempt("read", part, namespace, origin), api.get(&part.name(origin))).await
    }

    /// A Secret of somebody else, with its values.
    pub async fn secret_at(&self, place: &Place) -> Result<Secret, ClusterError> {
        let Place { namespace, name } = place;
        within(format!("read Secret {namespace}/{name}"), self.secrets(namespace).get(name)).await
    }

    /// Which version of a Secret of somebody else there is; nothing where there is none, or where we may not see it.
    pub async fn secret_version(&self, place: &Place) -> Result<Option<String>, ClusterError> {
        let Place { namespace, name } = place;
        let attempt = format!("look at Secret {namespace}/{name}");
        match within(attempt, self.secrets(namespace).get_metadata(name)).await {
            Ok(found) => Ok(found.metadata.resource_version),
            Err(error) if error.is_not_found() || error.refusal().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a Secret that was not there.
    pub async fn create_secret(
        &self,
        part: Part,
        (namespace, origin): (&str, &str),
        secret: &Secret,
    ) -> Result<(), ClusterError> {
        let (api, params) = (self.secrets(namespace), as_manager());
        within(attempt("create", part, namespace, origin), api.create(&params, secret)).await?;
        Ok(())
    }

    /// Writes a Secret as a whole, unless somebody else has since it was read.
    pub async fn replace_secret(
        &self,
        part: Part,
        (namespace, origin): (&str, &str),
        secret: &Secret,
    ) -> Result<(), ClusterError> {
        let (api, params, name) = (self.secrets(namespace), as_manager(), part.name(origin));
        within(attempt("write", part, namespace, origin), api.replace(&name, &params, secret)).await?;
        Ok(())
    }

    /// Sets one annotation of a pod. Not by server-side apply: that would try to create a pod that has just gone.
    pub async fn annotate_pod(
        &self,
        namespace: &str,
        pod: &str,
        key: &str,
        value: &str,
    ) -> Result<(), ClusterError> {
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { key: value } } }));
        let params = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
        within(format!("annotate pod {namespace}/{pod}"), api.patch_metadata(pod, &params, &patch)).await?;
        Ok(())
    }

    /// Asks the kubelet of a pod that runs for other resources of its container.
    pub async fn resize_pod(&self, namespace: &str, pod: &str, patch: &Value) -> Result<(), ClusterError> {
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let params = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Strategic(patch);
        within(format!("resize pod {namespace}/{pod}"), api.patch_resize(pod, &params, &patch)).await?;
        Ok(())
    }

    /// Says of a pod that it does not serve, in the place of a kubelet that does not say it; nothing where the pod of this uid is gone.
    pub async fn withdraw_pod(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
        condition: &PodCondition,
    ) -> Result<(), ClusterError> {
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let params = PatchParams { field_manager: Some(names::MANAGER.to_owned()), ..PatchParams::default() };
        // The uid is a precondition; conditions are merged by their types.
        let patch = json!({ "metadata": { "uid": uid }, "status": { "conditions": [condition] } });
        let attempt = format!("say that pod {namespace}/{pod} does not answer");
        match within(attempt, api.patch_status(pod, &params, &Patch::Strategic(patch))).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the whole status and nothing else.
    pub async fn write_status(
        &self,
        namespace: &str,
        name: &str,
        status: &MediaOriginStatus,
    ) -> Result<(), ClusterError> {
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &origins());
        let body = json!({
            "apiVersion": names::API_VERSION,
            "kind": names::KIND,
            "metadata": { "name": name },
            "status": status,
        });
        let params = PatchParams::apply(names::MANAGER).force();
        let attempt = format!("write the status of {namespace}/{name}");
        within(attempt, api.patch_status(name, &params, &Patch::Apply(&body))).await?;
        Ok(())
    }

    /// Whether `MediaOrigin` is a kind that the API server knows.
    pub async fn has_definition(&self, namespace: Option<&str>) -> Result<bool, ClusterError> {
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &origins()),
            None => Api::all_with(self.client.clone(), &origins()),
        };
        let one = ListParams::default().limit(1);
        match within("list MediaOrigins".to_owned(), api.list_metadata(&one)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn children(&self, part: Part, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource {
            group: part.group().to_owned(),
            version: "v1".to_owned(),
            api_version: part.api_version(),
            kind: part.kind().to_owned(),
            plural: part.plural().to_owned(),
        };
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }
}

/// A client; whether it repeats what a busy API server turned away is asked by some who count the time themselves.
pub async fn client(repeats: bool) -> Result<Client, anyhow::Error> {
    Ok(client_of(Config::infer().await?, repeats)?)
}

/// The same for somebody who says where the API server is.
pub fn client_of(mut config: Config, repeats: bool) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.default_retry = repeats;
    // A watch has no deadline of its own until it is answered. Sent on a connection that has died without a word, it would
    // wait for the connection's deadline, and the operator would see nothing meanwhile.
    let answered = TimeoutLayer::new(CALL_TIMEOUT);
    Ok(ClientBuilder::try_from(config)?.with_layer(&answered).build())
}

/// The client prints the API server's answers twice, as text and as a structure; the text is enough.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.trim().to_owned(),
        error => error.to_string(),
    }
}

fn as_manager() -> PostParams {
    PostParams { field_manager: Some(names::MANAGER.to_owned()), ..PostParams::default() }
}

/// `read Deployment media/live`.
fn attempt(verb: &str, part: Part, namespace: &str, origin: &str) -> String {
    format!("{verb} {} {namespace}/{}", part.kind(), part.name(origin))
}

fn origins() -> ApiResource {
    ApiResource::erase::<MediaOrigin>(&())
}

/// A call with its deadline; `attempt` says what it is for.
pub async fn within<T>(
    attempt: String,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(ClusterError::Call { attempt, source: Box::new(source) }),
        Err(_) => Err(ClusterError::Timeout { attempt }),
    }
}
