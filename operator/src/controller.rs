//! Watches, concurrency, what follows from an error, shutdown. Only here and in its folder `kube::runtime` is named.

mod lookout;
mod turn;
mod waking;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, ObjectReference, PersistentVolumeClaim, Pod, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::PartialObjectMeta;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::controller::{Action, Config as ControllerConfig, Error as ControllerError};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef, reflector};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::MediaOrigin;
use tokio::sync::watch;

use crate::admin;
use crate::agents::{Agents, Key};
use crate::apply::World;
use crate::args::RunArgs;
use crate::backoff::Backoff;
use crate::cluster::{self, CALL_TIMEOUT, Cluster, ClusterError};
use crate::election::seat::Seat;
use crate::health::Health;
use crate::metrics::{Metrics, ReconcileResult};
use crate::nats;
use crate::plan::Settings;
use crate::reconcile::{Outcome, reconcile};
use crate::scaling::Scalers;
use crate::status::Transition;
use lookout::look_out;
use turn::{in_turn, stopped};
use waking::{News, Waker, heard};

/// A watch ends after this time, so a connection that died silently is noticed within it and five seconds more.
const WATCH_SECONDS: u32 = 60;
/// Reconciles that run when the operator is told to stop have this long.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);
/// How often to look for the definition where it is not installed yet.
const DEFINITION_PAUSE: Duration = Duration::from_secs(5);

/// How long the watches pause after an error of one of them.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

type Guarded = DeserializeGuard<MediaOrigin>;

struct Context {
    cluster: Cluster,
    agents: Agents,
    scalers: Arc<Scalers>,
    settings: Settings,
    recorder: Recorder,
    backoff: Backoff<Key>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: RunArgs) -> Result<(), anyhow::Error> {
    let RunArgs {
        origin_image,
        namespace,
        concurrency,
        admin_address,
        lease,
        identity,
        operator_namespace,
        nats_secret,
        nats: chart_nats,
        ..
    } = args;
    let namespace = namespace.filter(|namespace| !namespace.is_empty());
    let mut stop = stop_signal()?;
    let (health, metrics) = (Arc::new(Health::default()), Arc::new(Metrics::default()));
    let listener =
        admin::listen(admin_address).await.with_context(|| format!("cannot listen on {admin_address}"))?;
    let admin = tokio::spawn(admin::serve(listener, Arc::clone(&health), Arc::clone(&metrics)));
    let cluster = Cluster::connect().await.context("cannot connect to Kubernetes")?;
    // Every operator may: the API server takes the first one's.
    let credentials =
        nats_secret.map(|place| tokio::spawn(nats::ensure_secret(cluster.client.clone(), place)));
    tokio::select! {
        () = wait_for_definition(&cluster, namespace.as_deref()) => {}
        _ = stop.changed() => return Ok(()),
    }
    let seat = match &lease {
        Some(place) => {
            let me = identity.clone().context("--lease needs --identity (POD_NAME)")?;
            Some(Seat::new(cluster::client(false).await?, place, me))
        }
        None => None,
    };
    let reporter = Reporter { controller: names::MANAGER.to_owned(), instance: identity };
    let (agents, news) = Agents::new(Arc::clone(&metrics));
    let scalers = Scalers::new(Arc::clone(&metrics), agents.news());
    let news = Arc::new(tokio::sync::Mutex::new(news));
    let context = Arc::new(Context {
        recorder: Recorder::new(cluster.client.clone(), reporter),
        cluster,
        agents,
        scalers: Arc::new(scalers),
        settings: Settings { origin_image, operator_namespace, nats: chart_nats.chart() },
        backoff: Backoff::default(),
        health,
        metrics,
    });
    let scope = namespace.as_deref().unwrap_or("all namespaces");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), scope, concurrency, "watching MediaOrigins");
    let act = || {
        let news = Arc::clone(&news);
        act(Arc::clone(&context), news, (namespace.as_deref(), concurrency), stop.clone())
    };
    tokio::select! {
        () = in_turn(seat, &context, stop.clone(), act) => {}
        () = look_out(&context.cluster, namespace.as_deref(), &context.metrics) => {}
    }
    admin.abort();
    if let Some(credentials) = credentials {
        credentials.abort();
    }
    tracing::info!("stopped");
    Ok(())
}

/// A pause that does not grow. The library pauses all watches of a controller for the error of one and doubles that each
/// time: after a restart of the API server every watch expires in turn, and no event would be handled for minutes.
struct SteadyPause;

impl Iterator for SteadyPause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(WATCH_PAUSE.mul_f64(0.5 + fastrand::f64()))
    }
}

impl kube::runtime::utils::Backoff for SteadyPause {
    fn reset(&mut self) {}
}

async fn act(
    context: Arc<Context>,
    news: News,
    (namespace, concurrency): (Option<&str>, u16),
    stop: watch::Receiver<bool>,
) {
    let client = &context.cluster.client;
    let origins: Api<Guarded> = scoped(client, namespace);
    let (everything, children) = (everything(), of_ours());
    // What wakes a reconcile passes by the queue: how many origins wait is a metric.
    let (store, writer) = reflector::store();
    let mine = reflector(writer, watcher(origins, everything)).applied_objects().inspect_ok({
        let metrics = Arc::clone(&context.metrics);
        move |origin| metrics.awaits(key(origin))
    });
    let (mut soon, mut late) = (stop.clone(), stop);
    let owner = || Waker(Arc::clone(&context.metrics));
    let results = Controller::for_stream(mine, store.clone())
        .trigger_backoff(SteadyPause)
        .with_config(ControllerConfig::default().concurrency(concurrency))
        .reconcile_on(heard(news, Arc::clone(&context.metrics)))
        .watches(metadata::<ServiceAccount>(client, namespace), children.clone(), owner().of())
        .watches(metadata::<ConfigMap>(client, namespace), children.clone(), owner().of())
        .watches(metadata::<Service>(client, namespace), children.clone(), owner().of())
        .watches(metadata::<PersistentVolumeClaim>(client, namespace), children.clone(), owner().of())
        .watches(metadata::<NetworkPolicy>(client, namespace), children.clone(), owner().of())
        .watches(metadata::<PodDisruptionBudget>(client, namespace), children.clone(), owner().of())
        .watches(metadata::<Deployment>(client, namespace), children.clone(), owner().of())
        .watches(metadata::<Pod>(client, namespace), children, owner().of_pod())
        .graceful_shutdown_on(async move { stopped(&mut soon).await })
        .run(reconcile_one, after_error, Arc::clone(&context))
        .for_each(|result| {
            note(&context, result);
            std::future::ready(())
        });
    // Both wait for the first list and its channel keeps one waker, the last: only within one task is nobody forgotten.
    let synced = async {
        if store.wait_until_ready().await.is_ok() {
            context.health.set_synced();
        }
    };
    tokio::select! {
        _ = async { tokio::join!(results, synced) } => {}
        () = context.agents.rounds() => {}
        () = context.scalers.rounds() => {}
        () = async { stopped(&mut late).await; tokio::time::sleep(SHUTDOWN_GRACE).await } => {
            tracing::warn!("reconciles still run after {}s, leaving them", SHUTDOWN_GRACE.as_secs());
        }
    }
}

fn scoped<K>(client: &kube::Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn everything() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Children, by what their labels say.
fn of_ours() -> watcher::Config {
    labelled(&[(names::LABEL_MANAGED_BY, names::MANAGER)])
}

fn labelled(labels: &[(&str, &str)]) -> watcher::Config {
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    everything().labels(&labels.join(","))
}

/// Only the metadata of children is watched: any change of theirs shows in it, and a reconcile reads them anyway.
fn metadata<K>(client: &kube::Client, namespace: Option<&str>) -> Api<PartialObjectMeta<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    scoped(client, namespace)
}

async fn reconcile_one(origin: Arc<Guarded>, context: Arc<Context>) -> Result<Action, ClusterError> {
    let key = key(&origin);
    let start = Instant::now();
    let running = context.health.start(start);
    let Context { cluster, agents, scalers, metrics, settings, .. } = context.as_ref();
    metrics.begins(&key);
    let outcome = reconcile(World { cluster, agents, metrics, scalers }, settings, (&key.0, &key.1)).await;
    drop(running);
    let result = match &outcome {
        Ok(Outcome::Done { error: Some(_), .. }) | Err(_) => ReconcileResult::Failed,
        Ok(Outcome::Done { refused: true, .. }) => ReconcileResult::Refused,
        Ok(_) => ReconcileResult::Ok,
    };
    context.metrics.reconciled(result, start.elapsed());
    match outcome? {
        Outcome::Gone => {
            context.agents.forget(&key);
            context.scalers.learn(&key, None);
            context.backoff.forget(&key);
            context.metrics.forget(&key);
            Ok(Action::await_change())
        }
        Outcome::Done { requeue, events, uid, refused, state, error } => {
            context.metrics.managed.saw(&key.0, &key.1, state);
            publish(&context, &key, uid, events).await;
            if let Some(error) = error {
                return Err(error);
            }
            if refused {
                return Ok(Action::requeue(context.backoff.failed(key, fastrand::f64())));
            }
            context.backoff.forget(&key);
            // Spread, so that many origins that were started together do not stay together.
            Ok(Action::requeue(requeue.mul_f64(0.9 + fastrand::f64() / 5.0)))
        }
    }
}

fn key(origin: &Guarded) -> Key {
    (origin.namespace().unwrap_or_default(), origin.name_any())
}

/// Every error of a reconcile is one of a call: it is tried again with growing pauses. What users did wrong is no error.
#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
fn after_error(origin: Arc<Guarded>, _: &ClusterError, context: Arc<Context>) -> Action {
    Action::requeue(context.backoff.failed(key(&origin), fastrand::f64()))
}

type Reconciled = Result<(ObjectRef<Guarded>, Action), ControllerError<ClusterError, watcher::Error>>;

fn note(context: &Context, result: Reconciled) {
    match result {
        Ok(_) => {}
        Err(ControllerError::ObjectNotFound(origin)) => {
            let key = (origin.namespace.clone().unwrap_or_default(), origin.name.clone());
            context.metrics.forget(&key);
            context.backoff.forget(&key);
        }
        Err(ControllerError::ReconcilerFailed(error, origin)) => {
            tracing::warn!(origin = %origin, %error, "reconcile failed, trying again");
        }
        Err(ControllerError::QueueError(error)) => {
            context.metrics.watch_failed();
            tracing::warn!(%error, "watch broke, starting it again");
        }
        Err(error) => tracing::error!(%error, "the controller's queue failed"),
    }
}

/// An event that cannot be published is counted and forgotten: the conditions say the same.
async fn publish(context: &Context, key: &Key, uid: String, events: Vec<Transition>) {
    let reference = ObjectReference {
        api_version: Some(names::API_VERSION.to_owned()),
        kind: Some(names::KIND.to_owned()),
        namespace: Some(key.0.clone()),
        name: Some(key.1.clone()),
        uid: Some(uid),
        ..ObjectReference::default()
    };
    for Transition { warning, reason, condition, note } in events {
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let event = Event { type_, reason, note: Some(note), action: condition.to_owned(), secondary: None };
        let published =
            tokio::time::timeout(CALL_TIMEOUT, context.recorder.publish(&event, &reference)).await;
        if !matches!(published, Ok(Ok(()))) {
            context.metrics.event_failed();
            tracing::debug!(namespace = key.0, name = key.1, reason = event.reason, "event not published");
        }
    }
}

/// An operator may be installed before its definition: it says so once and waits.
async fn wait_for_definition(cluster: &Cluster, namespace: Option<&str>) {
    let mut said = false;
    loop {
        match cluster.has_definition(namespace).await {
            Ok(true) => return,
            Ok(false) if !said => {
                tracing::warn!(
                    "the CustomResourceDefinition mediaorigins.mediaorigin.io is not installed, waiting for it"
                );
                said = true;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot look for the CustomResourceDefinition, trying again");
            }
        }
        tokio::time::sleep(DEFINITION_PAUSE).await;
    }
}

/// Turns true at SIGTERM or SIGINT.
fn stop_signal() -> Result<watch::Receiver<bool>, anyhow::Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let (send, receive) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Nobody listening means that the operator has stopped already.
        let _ = send.send(true);
    });
    Ok(receive)
}
