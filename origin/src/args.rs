//! The command line.

#![expect(clippy::doc_markdown, reason = "these comments are the help on the screen")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand};

use mediaorigin_crds::units::{Bytes, QuantityError};

use crate::access::sign::Place;
use crate::log::{Format, Requests};
use crate::times;

/// An in-memory origin for live and on-demand video: encoders PUT segments and playlists, CDNs and players GET them.
#[derive(Debug, Parser)]
#[command(name = "mediaorigin", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve an origin. Without a file: everything under http://127.0.0.1:8080 accepts a PUT at once.
    Serve(Box<ServeArgs>),
    /// Check files and print every problem.
    Validate(ValidateArgs),
    /// Print a URL with a token: whoever has it may read until it expires, where spec.access.read is SignedUrls.
    SignUrl(SignUrlArgs),
    /// Do nothing until SIGTERM or SIGINT: a pod that keeps room on its node (spec.autoscaling.headroom).
    Idle,
}

/// Settings of a start.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A MediaOrigin, or the OriginConfig that the operator made of one. It is read again when it changes.
    #[arg(short, long, value_name = "FILE", env = "MEDIAORIGIN_FILE")]
    pub file: Option<PathBuf>,
    /// Address for media. Default 127.0.0.1:8080, with an OriginConfig all addresses and the port in it.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address for probes, metrics and status. Default 127.0.0.1:8081, with an OriginConfig all addresses and the port in it.
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
    /// Folder with the files `username` and `password` that uploads and deletions must carry.
    #[arg(long, value_name = "DIR")]
    pub publisher_dir: Option<PathBuf>,
    /// File with the token that whoever pushes a configuration to the admin port must show (PUT /-/config). Default: nobody may.
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Folder for the files of spec.disk. Needed with a MediaOrigin that has one; it is created if it is not there.
    #[arg(long, value_name = "DIR")]
    pub disk_dir: Option<PathBuf>,
    /// Folder with the credentials of spec.objectStore, one file each, named as the keys of its Secret. Default with a
    /// MediaOrigin: the environment, as for the cloud's own tools.
    #[arg(long, value_name = "DIR")]
    pub object_store_credentials_dir: Option<PathBuf>,
    /// Who this pod is in a fleet.
    #[command(flatten)]
    pub pod: PodArgs,
    /// Folder with `tls.crt` and `tls.key`: the media port speaks TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1. Read again when it changes.
    #[arg(long, value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Uploads and deletions need a client certificate that `ca.crt` in that folder vouches for.
    #[arg(long, requires = "tls_dir")]
    pub require_client_certificates: bool,
    /// Bytes of an answer that may lie unsent in the kernel, per connection. More saves CPU and costs memory that no budget counts.
    #[arg(long, value_name = "BYTES", default_value_t = 32 * 1024)]
    pub unsent_bytes_max: u32,
    /// Collector that spans of requests and tiers are sent to by OTLP/HTTP (JSON), e.g. http://127.0.0.1:4318. Default: none are made.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Memory that the process may use, as a Kubernetes quantity: 512Mi, 2Gi. Wins over spec.memory.limit; a lower limit of the
    /// container (its cgroup) wins over both.
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub memory_limit: Option<Bytes>,
    /// Worker threads. Default: one per core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub workers: Option<u16>,
    /// Seconds that open uploads are given at the end, at most.
    #[arg(long, value_name = "N", default_value_t = 45)]
    pub drain_seconds: u32,
    /// Seconds for which everything is still accepted after SIGTERM, at least. (SIGINT waits for uploads only.)
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub drain_min_seconds: u32,
    /// Lines for people, or one JSON object per line.
    #[arg(long, value_enum, default_value = "text", env = "MEDIAORIGIN_LOG_FORMAT")]
    pub log_format: Format,
    /// How requests are logged.
    #[arg(long, value_enum, default_value = "own", env = "MEDIAORIGIN_ACCESS_LOG")]
    pub access_log: Requests,
}

/// Who a pod is in a fleet.
#[derive(Debug, Args)]
pub struct PodArgs {
    /// Folder with `username` and `password` of NATS, where spec.coordination asks for credentials.
    #[arg(long, value_name = "DIR")]
    pub nats_credentials_dir: Option<PathBuf>,
    /// Address for other pods of a fleet, which fetch here what this one holds. Default with an OriginConfig: all addresses and the
    /// port in it; otherwise a free one on this machine.
    #[arg(long, value_name = "ADDRESS")]
    pub peer_listen: Option<SocketAddr>,
    /// Address under which other pods reach that: an IP address, or with its port. Default: the one that is listened on.
    #[arg(long, value_name = "ADDRESS", env = "POD_IP")]
    pub peer_address: Option<String>,
    /// Name of this pod among others.
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "origin")]
    pub pod_name: String,
    /// Zone of this pod: what lies in the bucket is fetched from there by one pod of a zone, and by the others from that one.
    #[arg(long, value_name = "NAME", env = "NODE_ZONE", default_value = "")]
    pub zone: String,
}

fn quantity(text: &str) -> Result<Bytes, QuantityError> {
    Bytes::parse(text)
}

/// Files to check.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Files with MediaOrigins, or with an OriginConfig.
    #[arg(short, long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
}

/// What to sign.
#[derive(Debug, Args)]
pub struct SignUrlArgs {
    /// File with the key: the value of urlSigningKey in the Secret of spec.access.write. A line feed at its end does not count.
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// How long the URL is good from now on: a number with s, m, h or d, e.g. 90s, 15m, 12h, 7d or 1d12h.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = times::duration, conflicts_with = "until")]
    pub expires: Duration,
    /// Until when it is good instead: RFC 3339, e.g. 2026-12-31T23:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    pub until: Option<SystemTime>,
    /// Allow everything below this folder, e.g. live/a/, as a playlist needs for its segments; / for everything. Default: only
    /// what the URL names.
    #[arg(long, value_name = "FOLDER")]
    pub path_prefix: Option<String>,
    /// Where the token stands. In the path, the relative addresses in a playlist keep it, and so do players.
    #[arg(long = "in", value_enum, value_name = "PLACE", default_value = "query")]
    pub place: Place,
    /// The URL as the reader's CDN or the origin knows it, or only its path. Host and query are not part of what is signed.
    pub url: String,
}
