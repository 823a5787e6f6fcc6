//! The same tenfold load on two origins of one cluster at the same time: one scaled by the operator, one by a `HorizontalPodAutoscaler` on
//! metrics-server. Printed, for docs/autoscaling.md.

use std::thread;
use std::time::{Duration, Instant};

use mediaorigin_tests::peer::Peer;
use serde_json::Value;

use super::cluster::Cluster;
use super::crowd::Crowd;
use super::scaling::autoscaler;
use super::{ACCESS_PORT, FLEET_PORT, eventually, media, nats, shape, turn};

/// The same bound for both: 70 % of the CPU that a pod asks for.
const OURS: &str = "  autoscaling: {mode: Internal, minReplicas: 1, maxReplicas: 6, targets: {cpuPercent: 100}, utilizationPercent: 70, scaleDown: {stabilizationSeconds: 30}}\n";
const THEIRS: &str = "  autoscaling: {mode: External}\n";
const SEGMENT: &str = "/live/load/seg1.m4s";
const SEGMENT_BYTES: usize = 16 << 10;
const CALM: u32 = 60;
const STORM: u32 = 600;
const NAMESPACES: [&str; 2] = ["e2e-race-ours", "e2e-race-theirs"];
/// How long the load stays high: four times what an autoscaler of Kubernetes needs for a step of three.
const SECONDS: u64 = 150;
const LOOK: Duration = Duration::from_millis(250);

/// One of the two.
struct Rival {
    name: &'static str,
    namespace: &'static str,
    port: u16,
    crowd: Crowd,
    /// Seconds of the storm, pods asked for, pods that serve: whenever they changed.
    steps: Vec<(f64, u64, u64)>,
}

impl Rival {
    fn start(name: &'static str, namespace: &'static str, port: u16, scaling: &str) -> Self {
        shape::start(namespace, port, &format!("{scaling}{}", shape::coordinated(1)));
        let mut uploads = Peer::connect(media(port)).unwrap();
        let stored = uploads.request("PUT", SEGMENT, &[], Some(&vec![7; SEGMENT_BYTES])).unwrap();
        assert!(matches!(stored.head.status, 201 | 204), "{}", stored.head.status);
        let crowd = Crowd::gather(media(port), SEGMENT, CALM);
        Self { name, namespace, port, crowd, steps: Vec::new() }
    }

    fn look(&mut self, since: Instant) {
        let deployment = Cluster::get().json(&format!("get -n {} deployment/live", self.namespace));
        let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let (asked, ready) = (number("/spec/replicas"), number("/status/readyReplicas"));
        if self.steps.last().is_none_or(|(_, before, served)| (*before, *served) != (asked, ready)) {
            self.steps.push((since.elapsed().as_secs_f64(), asked, ready));
        }
    }

    /// When as many as at the end, but for a tenth, were first asked for, and when they served.
    fn times(&self) -> (u64, f64, f64) {
        let most = self.steps.iter().map(|(_, asked, _)| *asked).max().unwrap_or_default();
        let enough = |count: u64| count as f64 >= 0.91 * most as f64;
        let first = |is: &dyn Fn(&(f64, u64, u64)) -> bool| {
            self.steps.iter().find(|step| is(step)).map_or(f64::INFINITY, |(at, ..)| *at)
        };
        (most, first(&|(_, asked, _)| enough(*asked)), first(&|(_, _, ready)| enough(*ready)))
    }
}

/// Prints when as many pods were asked for as the load needs, when they served, and what the viewers saw until then.
#[test]
#[ignore = "four minutes, and all of the machine"]
fn ours_and_an_autoscaler_of_kubernetes_side_by_side() {
    let _turn = turn::alone();
    let cluster = Cluster::get();
    let _nats = nats::install(&NAMESPACES);
    let mut rivals = [
        Rival::start("operator", NAMESPACES[0], FLEET_PORT, OURS),
        Rival::start("HPA", NAMESPACES[1], ACCESS_PORT, THEIRS),
    ];
    cluster.apply(NAMESPACES[1], &autoscaler((1, 6), 70));
    eventually("the autoscaler has its metric", 180, || {
        let hpa = cluster.json(&format!("get -n {} hpa/live", NAMESPACES[1]));
        !hpa.pointer("/status/currentMetrics/0/resource/current/averageUtilization")
            .is_none_or(Value::is_null)
    });
    thread::sleep(Duration::from_secs(30)); // both are at rest, at the same load
    for rival in &rivals {
        println!("{}, calm: {}", rival.name, rival.crowd.seen().line());
        rival.crowd.ask_at(STORM);
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(SECONDS) {
        for rival in &mut rivals {
            rival.look(began);
        }
        thread::sleep(LOOK);
    }
    println!("| | pods | asked for after | served after | the viewers |\n|---|---|---|---|---|");
    for rival in &rivals {
        let (pods, asked, served) = rival.times();
        let viewers = rival.crowd.seen().line();
        println!("| {} | {pods} | {asked:.1} s | {served:.1} s | {viewers} |", rival.name);
    }
    for Rival { name, port, steps, .. } in &rivals {
        println!("{name} (port {port}): {steps:.1?}");
    }
    let at = |index: usize| rivals[index].times().1;
    assert!(at(0) < at(1), "an autoscaler of Kubernetes was faster");
}
