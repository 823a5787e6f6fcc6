//! The program: arguments → configuration → origin → signals.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use mediaorigin_crds::config::Cold;
use mediaorigin_crds::load as contract;
use mediaorigin_crds::names;
use mediaorigin_origin::access::{secret, sign};
use mediaorigin_origin::args::{Cli, Command, PodArgs, ServeArgs, SignUrlArgs, ValidateArgs};
use mediaorigin_origin::clock::Clock;
use mediaorigin_origin::fleet::Pod;
use mediaorigin_origin::limit::group::Group;
use mediaorigin_origin::log::Requests;
use mediaorigin_origin::tls::ClientCertificates;
use mediaorigin_origin::{Options, Running, config, drain, log, start, trace};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Gives freed memory back within milliseconds, whichever thread freed it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => run(*args).map(|()| ExitCode::SUCCESS),
        Command::Validate(args) => Ok(check(&args)),
        Command::SignUrl(args) => sign_url(&args).map(|()| ExitCode::SUCCESS),
        Command::Idle => idle().map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("mediaorigin: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(args: ServeArgs) -> anyhow::Result<()> {
    runtime()?.block_on(serve(args))
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Waits for the end.
fn idle() -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let ServeArgs {
        file,
        listen,
        admin_listen,
        publisher_dir,
        admin_token_file,
        disk_dir,
        object_store_credentials_dir,
        pod,
        tls_dir,
        require_client_certificates,
        unsent_bytes_max,
        otlp_endpoint,
        memory_limit,
        workers,
        drain_seconds,
        drain_min_seconds,
        log_format,
        access_log,
    } = args;
    let pod_cold = std::env::var(names::ENV_COLD).ok();
    let (text, resolved) = match &file {
        Some(file) => config::load(file, pod_cold.as_deref())?,
        None => (String::new(), contract::built_in().map_err(|problems| anyhow::anyhow!("{problems:?}"))?),
    };
    let in_pod = contract::is_origin_config(&text);
    let cold = &resolved.cold;
    if !in_pod {
        check_folders(cold, [publisher_dir.is_some(), disk_dir.is_some(), tls_dir.is_some()])?;
    }
    let (media_port, admin_port) = (cold.media_port, cold.admin_port);
    let address = |port| {
        if in_pod {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
        } else {
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        }
    };
    let peer_port = cold.coordination.as_ref().map_or(0, |coordination| coordination.peer_port);
    let spans = trace::settings::Settings::read(otlp_endpoint.as_deref(), |name| std::env::var(name).ok())?;
    let name = resolved.metadata.name.clone();
    let log = log::start(log_format).context("cannot start the log")?;
    let options = Options {
        listen: listen.unwrap_or_else(|| address(media_port)),
        admin_listen: admin_listen.unwrap_or_else(|| address(admin_port)),
        clock: Clock::system(),
        workers: workers.map_or_else(cores, usize::from),
        file: file.map(|file| (file, text)),
        publisher_dir,
        admin_token_file,
        disk_dir,
        object_store_credentials_dir,
        pod: identity(pod, in_pod.then(|| address(peer_port))),
        mediastore_log: (access_log == Requests::Mediastore).then(|| log.sink()),
        log_filter: Some(log.filter.clone()),
        tls_dir,
        client_certificates: ClientCertificates::needed(require_client_certificates),
        unsent_bytes_max,
        spans,
        memory_limit,
        group: Group::own(Path::new("/")),
    };
    let running = start(resolved, options).await?;
    println!("{}{}", greeting(&name, &running), invitation(&running));
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    wait(running, drain::Limits { min: seconds(drain_min_seconds), max: seconds(drain_seconds) }).await?;
    drop(log);
    Ok(())
}

/// Who this pod is, which listens at `usual` for others where nothing else is said.
fn identity(args: PodArgs, usual: Option<SocketAddr>) -> Pod {
    let PodArgs { nats_credentials_dir, peer_listen, peer_address, pod_name, zone } = args;
    Pod {
        name: pod_name,
        zone,
        peer_address,
        peer_listen: peer_listen.or(usual),
        credentials_dir: nats_credentials_dir,
        ..Pod::default()
    }
}

/// What a pod mounts a program must be given: a publisher's folder, a disk's, a certificate's.
fn check_folders(cold: &Cold, [publisher, disk, tls]: [bool; 3]) -> anyhow::Result<()> {
    anyhow::ensure!(
        publisher || cold.publisher_dir.is_none(),
        "spec.access.write names a Secret, which a program cannot read: give its files in a folder with --publisher-dir"
    );
    anyhow::ensure!(
        disk || cold.disk.is_none(),
        "spec.disk is a volume of a pod: give a folder for its files with --disk-dir"
    );
    anyhow::ensure!(
        tls || cold.tls.is_none(),
        "spec.service.tls names a Secret, which a program cannot read: give its files in a folder with --tls-dir"
    );
    Ok(())
}

/// Serves until a signal, drains, and stops; a second interrupt stops at once.
async fn wait(running: Running, limits: drain::Limits) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let limits = tokio::select! {
        _ = terminate.recv() => limits,
        // Somebody sits in front of it: there is no Service that must forget it first.
        _ = interrupt.recv() => drain::Limits { min: Duration::ZERO, ..limits },
    };
    tracing::info!(min = limits.min.as_secs(), max = limits.max.as_secs(), "draining");
    tokio::select! {
        () = running.drain(limits) => {
            tokio::select! {
                () = running.finish() => tracing::info!("stopped"),
                _ = interrupt.recv() => tracing::warn!("stopped at once"),
            }
        }
        _ = interrupt.recv() => tracing::warn!("stopped at once"),
    }
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn greeting(name: &str, running: &Running) -> String {
    let (version, budget) = (env!("CARGO_PKG_VERSION"), running.origin().ration.terms().budget.objects);
    format!("mediaorigin {version} \"{name}\" holds {budget} of objects in memory")
}

fn invitation(running: &Running) -> String {
    let (media, admin) = (reachable(running.media_addr), reachable(running.admin_addr));
    let push = format!("ffmpeg -re -i in.mp4 -c copy -f hls -method PUT http://{media}/live/out.m3u8");
    format!("; push: {push}; status: http://{admin}/-/status")
}

/// An address that a client on this machine can use.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    }
}

/// Prints the signed URL and nothing else.
fn sign_url(args: &SignUrlArgs) -> anyhow::Result<()> {
    let SignUrlArgs { key_file, expires, until, path_prefix, place, url } = args;
    let now = Clock::system().now().wall;
    let expires = match until {
        Some(until) => *until,
        None => now.checked_add(*expires).context("--expires is longer than time goes on")?,
    };
    anyhow::ensure!(expires > now, "--until: that time is over");
    let key = secret::signing_key(key_file).map_err(|problem| anyhow::anyhow!("--key-file: {problem}"))?;
    println!("{}", sign::sign(url, path_prefix.as_deref(), *place, &key, expires)?);
    Ok(())
}

/// Prints every problem of every file.
fn check(args: &ValidateArgs) -> ExitCode {
    let ValidateArgs { files } = args;
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let (lines, is_good) = match check_file(file) {
            Ok(lines) => (lines, true),
            Err(lines) => (lines, false),
        };
        for line in lines {
            println!("{}: {line}", file.display());
        }
        if !is_good {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// What is good about a file, or what is wrong with it.
fn check_file(file: &Path) -> Result<Vec<String>, Vec<String>> {
    let text = config::read(file).map_err(|error| vec![error.to_string()])?;
    contract::check(&text)
}
