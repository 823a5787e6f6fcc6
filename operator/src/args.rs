//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::election::seat::Place;
use crate::plan::coordination::ChartNats;

/// Reconciles `MediaOrigin` resources into origin pods.
#[derive(Debug, Parser)]
#[command(name = "mediaorigin-operator", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch `MediaOrigins` and keep their pods true.
    Run(Box<RunArgs>),
    /// Print the `CustomResourceDefinition`.
    Crd,
    /// Print what the operator would do about the `MediaOrigins` of a file in a fresh namespace; needs no cluster.
    Plan(PlanArgs),
    /// Replay a recorded load against the autoscaling of a `MediaOrigin` and print what it would have done; needs no cluster.
    Simulate(SimulateArgs),
    /// Make a `MediaOrigin`, wait until it serves, delete it: what `helm test` runs.
    Trial(TrialArgs),
}

/// Settings of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Image of the origin where a `MediaOrigin` names none.
    #[arg(long, env = "MEDIAORIGIN_ORIGIN_IMAGE")]
    pub origin_image: String,
    /// Watch this namespace only. Default: all.
    #[arg(long, env = "MEDIAORIGIN_NAMESPACE")]
    pub namespace: Option<String>,
    /// Origins that are reconciled at the same time, at most.
    #[arg(long, env = "MEDIAORIGIN_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// Address for probes (/livez, /readyz) and /metrics. The default takes IPv6 and IPv4.
    #[arg(long, env = "MEDIAORIGIN_ADMIN_ADDRESS", default_value = "[::]:8081")]
    pub admin_address: SocketAddr,
    /// NAMESPACE/NAME of a Lease: of several operators with the same one, one at a time acts. Default: this one acts.
    #[arg(long, env = "MEDIAORIGIN_LEASE")]
    pub lease: Option<Place>,
    /// What this operator is called in the Lease and in events: no two may have the same name.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
    /// The namespace in which this operator runs: the pods' `NetworkPolicy` lets it in. Default: every namespace is let in.
    #[arg(long, env = "POD_NAMESPACE")]
    pub operator_namespace: Option<String>,
    /// NAMESPACE/NAME of a Secret with credentials for the chart's NATS, which is made where it is missing. Default: none is.
    #[arg(long, env = "MEDIAORIGIN_NATS_SECRET")]
    pub nats_secret: Option<Place>,
    /// The NATS that the chart runs.
    #[command(flatten)]
    pub nats: NatsArgs,
    /// Level or directives, e.g. `debug` or `info,kube=debug`.
    #[arg(long, env = "MEDIAORIGIN_LOG", default_value = "info")]
    pub log: String,
    /// How logs are written.
    #[arg(long, env = "MEDIAORIGIN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// The NATS that the chart runs: origins that use it and name no Secret get a copy of its credentials.
#[derive(Clone, Debug, Default, Args)]
pub struct NatsArgs {
    /// Its address, `nats://NAME.NAMESPACE.svc:4222`. Default: the chart runs none.
    #[arg(long, env = "MEDIAORIGIN_NATS_URL", requires = "nats_credentials")]
    pub nats_url: Option<String>,
    /// NAMESPACE/NAME of the Secret with `username` and `password` of its clients.
    #[arg(long, env = "MEDIAORIGIN_NATS_CREDENTIALS")]
    pub nats_credentials: Option<Place>,
    /// NAMESPACE/NAME of the Secret whose `ca.crt`, if it has one, vouches for its servers. Default: that of the credentials.
    #[arg(long, env = "MEDIAORIGIN_NATS_AUTHORITIES", requires = "nats_credentials")]
    pub nats_authorities: Option<Place>,
}

impl NatsArgs {
    /// The NATS, where there is one.
    pub fn chart(self) -> Option<ChartNats> {
        let Self { nats_url, nats_credentials, nats_authorities } = self;
        Some(ChartNats { url: nats_url?, credentials: nats_credentials?, authorities: nats_authorities })
    }
}

/// Settings of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// YAML with one or more `MediaOrigins`; - for standard input.
    #[arg(short, long)]
    pub file: PathBuf,
    /// Image of the origin where a `MediaOrigin` names none.
    #[arg(long, env = "MEDIAORIGIN_ORIGIN_IMAGE", default_value = concat!("mediaorigin:", env!("CARGO_PKG_VERSION")))]
    pub origin_image: String,
    /// The NATS that the chart runs.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// Settings of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// YAML with one `MediaOrigin`; - for standard input.
    #[arg(short, long)]
    pub file: PathBuf,
    /// CSV with a line for each second. Its first line names the columns: egressMegabitsPerSecond, requestsPerSecond, connections,
    /// cpuCores; one is enough.
    #[arg(long)]
    pub trace: PathBuf,
    /// Write a picture (SVG) of replicas, demand and what was shed.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Beside it, what a `HorizontalPodAutoscaler` and Knative's autoscaler would have done.
    #[arg(long)]
    pub compare: bool,
    /// When the trace begins (RFC 3339), for schedules and events. Default: 1970.
    #[arg(long)]
    pub start: Option<Timestamp>,
    /// Seconds from a pod's creation until it serves.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub ready_seconds: u16,
    /// Seconds until a pod that is taken away is gone.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=3_600))]
    pub drain_seconds: u16,
    /// Pods at the beginning. Default: as many as the load then needs.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub replicas: Option<u32>,
}

/// Settings of `trial`.
#[derive(Debug, Args)]
pub struct TrialArgs {
    /// Where the `MediaOrigin` is made.
    #[arg(long)]
    pub namespace: String,
    /// Its name. One that an earlier trial left is deleted, one of somebody else is not touched.
    #[arg(long)]
    pub name: String,
    /// How long it may take to serve.
    #[arg(long, default_value_t = 180)]
    pub timeout_seconds: u32,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
