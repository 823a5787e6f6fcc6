//! Three pods that are one origin, over the chart's NATS and a bucket: they are rolled, scaled and killed under a running stream.

mod pushes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mediaorigin_tests::peer::{self, Peer};

use super::cluster::{Cluster, SYSTEM};
use super::viewer::{BUFFER, Viewing};
use super::{FLEET_PORT, condition, eventually, media, nats, operator, pod_uids, shape, turn};
use pushes::{Proxied, Push, Pushed};

const NAMESPACE: &str = "e2e-fleet";
/// How often a player asks again before it gives up.
const RETRIES: usize = 8;

/// A stream into the fleet, HLS and DASH, and somebody who watches it.
struct Live {
    push: Push,
    viewer: JoinHandle<Viewing>,
    is_over: Arc<AtomicBool>,
}

/// What became of it.
struct Ended {
    pushed: Pushed,
    viewing: Viewing,
}

impl Live {
    fn start(name: &'static str, seconds: u64, settings: &[(&str, &str)]) -> Self {
        let way = (media(FLEET_PORT), seconds);
        let (push, playlist) = Push::start(name, way, settings, "hls/360p/live.m3u8");
        let is_over = Arc::new(AtomicBool::new(false));
        let viewer = {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || Viewing::of(media(FLEET_PORT), &playlist, RETRIES, &is_over))
        };
        Self { push, viewer, is_over }
    }

    /// Waits for the end of both.
    fn end(mut self) -> Ended {
        self.push.goes_on();
        let name = self.push.name;
        let pushed = self.push.end();
        self.is_over.store(true, Ordering::Relaxed);
        let viewing = self.viewer.join().unwrap();
        println!(
            "{name}: {} segments seen, longest pause {:?}, {} GETs, {} made again, failed {:?}",
            viewing.segments.len(),
            viewing.pause(),
            viewing.gets,
            viewing.retries.len(),
            viewing.failures
        );
        Ended { pushed, viewing }
    }
}

/// Names of the pods that serve.
pub(super) fn pods(namespace: &str, selector: &str) -> Vec<String> {
    let pods = Cluster::get().json(&format!("get -n {namespace} pods -l {selector}"));
    let items = pods["items"].as_array().cloned().unwrap_or_default();
    let stay = items.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    stay.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

fn origins() -> Vec<String> {
    pods(NAMESPACE, "app.kubernetes.io/instance=live")
}

/// Some of the objects, of each pod.
fn on_every_pod(objects: &BTreeMap<String, Vec<u8>>) {
    let pods = origins();
    assert_eq!(pods.len(), 3);
    for pod in pods {
        for (path, body) in objects.iter().step_by(objects.len().div_ceil(8)) {
            let served = Cluster::get().ask_pod(NAMESPACE, &pod, 8080, path);
            assert!(served.as_ref() == Some(body), "{path} on {pod}: {:?}", served.map(|body| body.len()));
        }
    }
}

fn ready_pods(count: u64) {
    eventually(&format!("{count} pods are ready, and no other is left"), 120, || {
        shape::serves(NAMESPACE, count)
    });
}

/// How long a node says nothing: Kubernetes takes most of a minute to notice.
const AWAY: Duration = Duration::from_secs(75);

/// A worker stands still for longer than Kubernetes takes to notice: its pod is taken out of the Service soon, serves again when it goes on,
/// and nothing that was acknowledged is lost. What a viewer felt is printed, for docs/fleet.md.
#[test]
fn a_worker_that_stands_still_loses_nothing() {
    let pushed = a_worker_goes("frozen", |node| docker(&["pause", node]), |node| docker(&["unpause", node]));
    pushed.settled.unwrap();
}

/// The same where nothing of the worker answers, not even its kernel, as without power.
#[test]
#[ignore = "two minutes, and hard on whatever else runs on the cluster"]
fn a_worker_without_power_loses_nothing() {
    let stop = |node: &str| {
        let nothing = "add table inet away; add chain inet away packets { type filter hook forward priority 0; policy drop; }";
        docker(&["exec", node, "nft", nothing]);
        docker(&["pause", node]);
    };
    let go_on = |node: &str| {
        docker(&["unpause", node]);
        docker(&["exec", node, "nft", "delete table inet away"]);
    };
    a_worker_goes("dead", stop, go_on);
}

/// A worker with one of three pods says nothing for a while.
fn a_worker_goes(name: &'static str, stop: impl Fn(&str), go_on: impl Fn(&str)) -> Pushed {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let _nats = nats::install(&[NAMESPACE]);
    // Of two workers one has two of the three servers, and nothing goes on without it. Nor without the bucket, which is one pod.
    let servers = pods(SYSTEM, "app.kubernetes.io/name=mediaorigin-nats");
    let servers_on = |node: &str| servers.iter().filter(|pod| cluster.node_of(SYSTEM, pod) == node).count();
    let workers = ["mediaorigin-worker", "mediaorigin-worker2"];
    let node = workers.into_iter().min_by_key(|node| servers_on(node)).unwrap();
    let other = workers.into_iter().find(|other| *other != node).unwrap();
    cluster.kubectl(&format!("cordon {node}"));
    serve(2);
    cluster.kubectl(&format!("uncordon {node}"));
    // One of three pods is on it.
    cluster.kubectl(&format!("cordon {other}"));
    cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/live --replicas=3"));
    ready_pods(3);
    cluster.kubectl(&format!("uncordon {other}"));
    let there: Vec<String> =
        origins().into_iter().filter(|pod| cluster.node_of(NAMESPACE, pod) == node).collect();
    // The operator that acts is on it too, and nobody else acts for fifteen seconds: the one that waits has to see it.
    operator::acts_on(node);
    let [silent] = &there[..] else { panic!("pods of the origin on {node}: {there:?}") };
    let live = Live::start(name, 100, &[("PUSH_IGNORE_IO_ERRORS", "1"), ("PUSH_TIMEOUT", "10")]);
    let mut proxied = Proxied::start(100);
    stop(node);
    let since = Instant::now();
    eventually("the silent pod is taken out of the Service before Kubernetes doubts its node", 35, || {
        let pod = cluster.json(&format!("get -n {NAMESPACE} pod/{silent}"));
        condition(&pod, "Ready")["reason"] == "Unreachable"
    });
    let taken_out = since.elapsed();
    println!("{name}: taken out after {taken_out:?}");
    thread::sleep(AWAY.saturating_sub(taken_out));
    go_on(node);
    ready_pods(3);
    proxied.push.goes_on();
    let ended = live.end();
    proxied.end();
    ended.pushed
}

fn docker(arguments: &[&str]) {
    assert!(
        std::process::Command::new("docker").args(arguments).status().unwrap().success(),
        "{arguments:?}"
    );
}

/// Proves FQ-10, OP-01 and OP-08 in a fleet: every pod is replaced, there are more and then fewer, NATS is rolled, and no encoder and no
/// viewer notices; every pod is killed, and the leader of the log, and nothing that was acknowledged is lost.
#[test]
fn three_pods_are_one_origin_whatever_is_rolled_scaled_or_killed() {
    let _turn = turn::alone();
    let _nats = nats::install(&[NAMESPACE]);
    serve(3);
    zoned();
    edited();
    planned();
    killed();
}

fn serve(count: usize) {
    let encrypted =
        shape::coordinated(count).replace("coordination: {", "coordination: {peers: {tls: Enabled}, ");
    shape::start(NAMESPACE, FLEET_PORT, &encrypted);
    ready_pods(count as u64);
}

/// Every pod knows the zone of its node.
fn zoned() {
    let cluster = Cluster::get();
    for pod in origins() {
        let node = cluster.json(&format!("get node/{}", cluster.node_of(NAMESPACE, &pod)));
        let status = cluster.ask_pod(NAMESPACE, &pod, 8081, "/-/status").unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        let zone = &node["metadata"]["labels"]["topology.kubernetes.io/zone"];
        assert!(zone.is_string() && status["index"]["zone"] == *zone, "{pod}: {}", status["index"]);
    }
}

/// A hot edit is in force on every pod, and each says so.
fn edited() {
    let cluster = Cluster::get();
    let before = pod_uids(NAMESPACE);
    let rule = r#"{"name":"all","match":{"paths":["**"]},"cacheControl":"max-age=77"}"#;
    cluster.patch(NAMESPACE, "live", &format!(r#"{{"spec":{{"tierPolicies":[{rule}]}}}}"#));
    eventually("all pods serve the edit", 20, || {
        let origin = cluster.json(&format!("get -n {NAMESPACE} mediaorigin/live"));
        let generation = &origin["metadata"]["generation"];
        let pods = origin["status"]["pods"].as_array().cloned().unwrap_or_default();
        condition(&origin, "Configured")["status"] == "True"
            && origin["status"]["observedGeneration"] == *generation
            && pods.len() == 3
            && pods.iter().all(|pod| pod["servedGeneration"] == *generation)
    });
    let mut encoder = Peer::connect(media(FLEET_PORT)).unwrap();
    let stored = encoder.request("PUT", "/live/edited.ts", &[], Some(b"a segment")).unwrap().head.status;
    assert!(matches!(stored, 201 | 204), "{stored}");
    for _ in 0..20 {
        let answer = peer::fetch(media(FLEET_PORT), "GET", "/live/edited.ts").unwrap();
        assert_eq!(answer.head.header("cache-control"), Some("max-age=77"));
    }
    assert_eq!(pod_uids(NAMESPACE), before, "a hot edit replaced pods");
    cluster.patch(NAMESPACE, "live", r#"{"spec":{"tierPolicies":null}}"#);
}

/// Every pod is replaced, then there are five, then three again, then every NATS server is restarted. No encoder
/// and no viewer notices.
fn planned() {
    let cluster = Cluster::get();
    let live = Live::start("planned", 110, &[]);
    cluster.kubectl(&format!("rollout restart -n {NAMESPACE} deployment/live"));
    cluster.kubectl(&format!("rollout status -n {NAMESPACE} deployment/live --timeout=120s"));
    cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/live --replicas=5"));
    ready_pods(5);
    cluster.kubectl(&format!("scale -n {NAMESPACE} mediaorigin/live --replicas=3"));
    ready_pods(3);
    nats::roll_under_a_client_that_stores();
    let Ended { pushed: Pushed { complaints, refused, settled }, viewing } = live.end();
    settled.unwrap();
    assert!(complaints.is_empty() && refused.is_empty(), "{complaints}{refused:?}");
    assert!(viewing.failures.is_empty(), "{:?}", viewing.failures);
    assert!(viewing.pause() < BUFFER, "a pause of {:?}", viewing.pause());
}

/// A pod is killed, and no player has played all that it keeps ready. Then the NATS server that leads the log is: uploads wait, and none is
/// refused. Then the other pods are, one after the other. Nothing that was acknowledged is lost, and nobody gives up: players ask again. What was on its way
/// into a pod that is killed is not acknowledged, and ffmpeg does not send parts of DASH again: a player steps over them. Where something
/// sends them again nothing is missing.
fn killed() {
    let cluster = Cluster::get();
    let live = Live::start("killed", 100, &[("PUSH_IGNORE_IO_ERRORS", "1")]);
    let mut proxied = Proxied::start(100);
    let pods = origins();
    let (one, others) = pods.split_first().unwrap();
    let without_one = Instant::now();
    cluster.kill(NAMESPACE, one);
    all_is_felt();
    let without_leader = Instant::now();
    cluster.kill(SYSTEM, &nats::leader());
    all_is_felt();
    let without_pods = Instant::now();
    for pod in others {
        cluster.kill(NAMESPACE, pod);
    }
    all_is_felt();
    proxied.push.goes_on();
    let Ended { pushed: Pushed { refused, settled, .. }, viewing } = live.end();
    settled.unwrap();
    proxied.end();
    let is_of_ours = |failure: &&String| {
        !refused.iter().any(|refused| failure.starts_with(&format!("{}: ", refused.path)))
    };
    let ours: Vec<_> = viewing.failures.iter().filter(is_of_ours).collect();
    assert!(ours.is_empty(), "{ours:?}");
    let pauses = [without_leader, without_pods].map(|moment| viewing.pause_until(moment));
    let after = |moment: &Instant| moment.saturating_duration_since(without_one);
    let again: Vec<_> =
        viewing.retries.iter().filter(|moment| **moment < without_leader).map(after).collect();
    println!("killed: GETs that were made again, after the end of one pod: {again:?}");
    println!("killed: longest pause {pauses:?} until the log's leader and until the other pods were killed");
    assert!(pauses[0] < BUFFER, "a pause of {:?} while one pod was killed", pauses[0]);
    // For as long as the log is silent.
    let unled = without_leader..without_leader + Duration::from_secs(9);
    let unled: Vec<_> = refused.iter().filter(|refused| unled.contains(&refused.began)).collect();
    assert!(unled.is_empty(), "refused when the log's leader was killed: {unled:?}");
}

/// Everything is ready again, and viewers have seen what came of it.
fn all_is_felt() {
    thread::sleep(2 * BUFFER);
    ready_pods(3);
}
