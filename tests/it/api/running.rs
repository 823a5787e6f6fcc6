//! One operator's program: where its kubeconfig leads, what its probes and metrics say.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mediaorigin_tests::peer;
use mediaorigin_tests::process::Process;
use mediaorigin_tests::program::{free, resident_bytes};

use crate::program::built;

/// The one lease that the chart's role admits.
pub(super) const LEASE: &str = "default/mediaorigin-operator";

/// A running operator; it is killed at the end.
pub(super) struct Operator {
    process: Process,
    admin: SocketAddr,
}

impl Operator {
    /// Starts one; it is not ready yet. Names its log.
    pub(super) fn start(name: &'static str, kubeconfig: &Path, further: &[&str], folder: &Path) -> Self {
        let admin = free().unwrap();
        let address = admin.to_string();
        let arguments = ["run", "--origin-image", "mediaorigin:test", "--admin-address", &address];
        let arguments: Vec<String> = arguments.iter().chain(further).map(|text| (*text).to_owned()).collect();
        let kubeconfig = kubeconfig.display().to_string();
        let environment = [("KUBECONFIG", kubeconfig.as_str())];
        let program = built("mediaorigin-operator", "mediaorigin-operator");
        let process = Process::start_with(name, &program, &arguments, &environment, folder).unwrap();
        let mut operator = Self { process, admin };
        operator.wait("it listens", |operator| peer::fetch(operator, "GET", "/livez").is_ok());
        operator
    }

    /// Waits until it is ready.
    pub(super) fn ready(mut self) -> Self {
        self.wait("it is ready", |admin| probe(admin, "/readyz") == 200);
        self
    }

    fn wait(&mut self, what: &str, condition: impl Fn(SocketAddr) -> bool) {
        let admin = self.admin;
        let waited = self.process.wait_until(Duration::from_mins(1), || condition(admin));
        waited.unwrap_or_else(|error| panic!("{what}: {error:#}"));
    }

    /// The status of a probe.
    pub(super) fn probe(&self, path: &str) -> u16 {
        probe(self.admin, path)
    }

    /// A counter or gauge, or the sum of all its series.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let answer = peer::fetch(self.admin, "GET", "/metrics").unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let values = text.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<u64>().unwrap()).sum()
    }

    /// Whether it acts.
    pub(super) fn leads(&self) -> bool {
        self.metric("mediaorigin_operator_leader") > 0
    }

    /// Memory that it has from the machine.
    pub(super) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.process.id()).unwrap()
    }

    /// What it has written.
    pub(super) fn log(&self) -> String {
        self.process.output().unwrap()
    }
}

fn probe(admin: SocketAddr, path: &str) -> u16 {
    peer::fetch(admin, "GET", path).map_or(0, |answer| answer.head.status)
}
