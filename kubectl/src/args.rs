//! The command line.

#![expect(clippy::doc_markdown, reason = "these comments are the help on the screen")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Shows MediaOrigins: how they are, why they are so, and what an encoder needs. Changes nothing.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-mediaorigin",
    bin_name = "kubectl mediaorigin",
    version,
    after_help = "Exit status: 0 all is well; 1 an origin is not ready, or a file is not valid; 2 there is no answer: wrong arguments, \
                  no such origin, no right to ask, no cluster."
)]
pub struct Arguments {
    /// Which cluster.
    #[command(flatten)]
    pub connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which cluster, as for kubectl.
#[derive(Clone, Debug, Default, Args)]
pub struct Connection {
    /// Path of the kubeconfig. Default: $KUBECONFIG, then ~/.kube/config, then the account of the pod that this runs in.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig. Default: its current one.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Namespace. Default: that of the context.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Conditions, pods, memory, tiers and what to do next; exit status 1 unless all are ready.
    Status(StatusArgs),
    /// Why an origin looks as it does: its spec, its budget, each child, each pod, and what the operator would do.
    Explain(ExplainArgs),
    /// The streams that the pods hold: renditions, ages, missing and late segments.
    Streams(StreamsArgs),
    /// What an encoder needs: addresses, the Secret, a command line.
    Publisher(PublisherArgs),
    /// Check files without a cluster: every problem, with its field.
    Validate(ValidateArgs),
}

/// Settings of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name of the MediaOrigin. Default: all of the namespace.
    pub name: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// Another form than text.
    #[arg(short, long)]
    pub output: Option<Output>,
}

/// Settings of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Name of the MediaOrigin.
    pub name: String,
    /// Image of the origin where the MediaOrigin names none. Default: as the operator was installed.
    #[arg(long)]
    pub origin_image: Option<String>,
}

/// Settings of `streams`.
#[derive(Debug, Args)]
pub struct StreamsArgs {
    /// Name of the MediaOrigin.
    pub name: String,
    /// Another form than text.
    #[arg(short, long)]
    pub output: Option<Output>,
}

/// Settings of `publisher`.
#[derive(Debug, Args)]
pub struct PublisherArgs {
    /// Name of the MediaOrigin.
    pub name: String,
    /// Print the values of the Secret, too.
    #[arg(long)]
    pub show_secret: bool,
}

/// Settings of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Files with MediaOrigins, or with an OriginConfig; - for standard input.
    #[arg(short, long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
}

/// A form for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// JSON.
    Json,
}
