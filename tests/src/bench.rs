//! Benches against other servers: CPU time of the server per request, memory of connections, and the delay of a chunk (RW-02).
//! Timings of a shared machine mean little by themselves, so servers are measured in turns and compared within each round.

mod delay;
mod held;
mod load;
mod mix;
mod server;
mod storm;
mod table;
mod upload;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

pub use delay::{Delays, chunk_delay, percentile};
pub use held::Held;
pub use load::{Load, Outcome, load};
pub use server::Server;

use crate::folder::Folder;

/// `TCP_NOTSENT_LOWAT` that limits nothing.
const NO_LIMIT: [&str; 2] = ["--unsent-bytes-max", "2147483647"];
const LARGE: usize = 4 << 20;

/// The programs under comparison that are ours.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'a> {
    /// The origin.
    pub origin: &'a Path,
    /// `tests/bench/bare.c`.
    pub bare: &'a Path,
}

/// How much to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds; each measures every server once at every size.
    pub rounds: usize,
    /// Body sizes in bytes, each with the number of requests of one measurement.
    pub sizes: Vec<(usize, usize)>,
    /// Keep-alive connections.
    pub connections: usize,
}

impl Plan {
    /// GET at the sizes of playlists, audio and video segments.
    pub fn get(rounds: usize) -> Self {
        let sizes = vec![(2 << 10, 20_000), (100 << 10, 6_000), (1 << 20, 1_000), (LARGE, 300)];
        Self { rounds, sizes, connections: 32 }
    }

    /// PUT of segments.
    pub fn put(rounds: usize) -> Self {
        Self { rounds, sizes: vec![(100 << 10, 2_000), (1 << 20, 300), (LARGE, 100)], connections: 8 }
    }
}

/// One measurement: microseconds per request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost(pub(crate) f64);

/// GET of complete objects from memory; the result is a Markdown table.
pub fn get_from_memory(programs: Programs<'_>, plan: &Plan) -> Result<String> {
    let folder = folder()?;
    let sizes: Vec<usize> = plan.sizes.iter().map(|(size, _)| *size).collect();
    let servers = [
        Server::bare(programs.bare, &sizes, &folder)?,
        Server::origin("mediaorigin", programs.origin, &[], &folder)?,
        Server::origin("mediaorigin without send-queue limit", programs.origin, &NO_LIMIT, &folder)?,
        Server::nginx(&folder)?,
        Server::varnish(&folder)?,
    ];
    gets(&servers, plan, &folder)
}

/// What this build costs beside one of `before`; the result is two Markdown tables.
pub fn builds(before: &Path, programs: Programs<'_>, rounds: usize) -> Result<String> {
    let folder = folder()?;
    let servers = [
        Server::origin("before", before, &[], &folder)?,
        Server::origin("now", programs.origin, &[], &folder)?,
    ];
    let get = gets(&servers, &Plan::get(rounds), &folder)?;
    Ok(format!("{get}\n\n{}", puts(&servers, &Plan::put(rounds))?))
}

fn gets(servers: &[Server], plan: &Plan, folder: &Folder) -> Result<String> {
    for server in servers {
        for (size, _) in &plan.sizes {
            server.prepare(folder, *size)?;
        }
    }
    let costs = measure(plan, servers.len(), |row, size, requests| {
        let (server, target) = (&servers[row], format!("/{}", server::file_name(size)));
        let load = Load { address: server.address, target, connections: plan.connections, requests, size };
        let before = server.cpu_nanos()?;
        let outcome = load::load(&load)?;
        let nanos = server.cpu_nanos()? - before;
        ensure!(outcome.requests == requests, "{}: {} of {requests} answered", server.name, outcome.requests);
        Ok([Cost(nanos as f64 / 1_000.0 / requests as f64)])
    })?;
    let [cpu] = &costs[..] else { unreachable!("one cost per measurement") };
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    Ok(table::render("GET from memory, CPU µs of the server per request", &names, plan, cpu))
}

/// PUT into memory, and into nginx' folder in memory; the result is two Markdown tables.
pub fn put_into_memory(programs: Programs<'_>, plan: &Plan) -> Result<String> {
    let folder = folder()?;
    let servers = [Server::nginx(&folder)?, Server::origin("mediaorigin", programs.origin, &[], &folder)?];
    puts(&servers, plan)
}

fn puts(servers: &[Server], plan: &Plan) -> Result<String> {
    let costs = measure(plan, servers.len(), |row, size, requests| {
        let before = servers[row].cpu_nanos()?;
        let time = upload::upload(servers[row].address, plan.connections, requests, size)?;
        let nanos = servers[row].cpu_nanos()? - before;
        let each = |micros: f64| Cost(micros / requests as f64);
        Ok([each(nanos as f64 / 1_000.0), each(time.as_secs_f64() * 1e6)])
    })?;
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    let titles = ["PUT, CPU µs of the server per request", "PUT, µs per request over 8 connections"];
    let tables = titles.iter().zip(&costs).map(|(title, costs)| table::render(title, &names, plan, costs));
    Ok(tables.collect::<Vec<_>>().join("\n\n"))
}

/// The default admits fewer connections than are opened here.
const MANY_CONNECTIONS: &str = "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {name: bench}\n\
     spec: {memory: {limit: 2Gi}, limits: {connections: 12000}}\n";

/// What connections cost; the result is a Markdown table.
pub fn memory(programs: Programs<'_>) -> Result<String> {
    let folder = folder()?;
    let mut rows = Vec::new();
    let file = folder.write("origin.yaml", MANY_CONNECTIONS)?;
    for (name, size) in [("10,000 idle after 2 KB", 2 << 10), ("10,000 idle after 1 MB", 1 << 20)] {
        let server = Server::origin("mediaorigin", programs.origin, &["-f", &file], &folder)?;
        server.prepare(&folder, size)?;
        rows.push((name, held::idle(&server, 10_000, size)?));
    }
    for (name, extra) in
        [("200 readers of 4 MB that stall", &[][..]), ("the same without send-queue limit", &NO_LIMIT)]
    {
        let server = Server::origin("mediaorigin", programs.origin, extra, &folder)?;
        server.prepare(&folder, LARGE)?;
        rows.push((name, held::stalled(&server, 200, LARGE)?));
    }
    Ok(table::render_held(&rows))
}

/// RW-02 with one reader, ten and a hundred; the result is a Markdown table.
pub fn delays(programs: Programs<'_>) -> Result<String> {
    let folder = folder()?;
    let server = Server::origin("mediaorigin", programs.origin, &[], &folder)?;
    let delays = [1, 10, 100].map(|readers| chunk_delay(server.address, readers, 200));
    Ok(table::render_delays(&delays.into_iter().collect::<Result<Vec<_>>>()?))
}

/// A live mix for `time`; the result is a Markdown table.
pub fn live_mix(programs: Programs<'_>, time: Duration) -> Result<String> {
    // Not in memory: a disk must be one here.
    let folder = Folder::new("bench")?;
    let arguments = mix::arguments(&folder)?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::origin("mediaorigin", programs.origin, &arguments, &folder)?;
    mix::run(&server, time)
}

/// OP-05 and OP-06; the result is a Markdown table.
pub fn storms(programs: Programs<'_>, rounds: usize) -> Result<String> {
    let folder = folder()?;
    let server = Server::origin("mediaorigin", programs.origin, &[], &folder)?;
    storm::run(&server, &folder, rounds)
}

/// For configurations, and for the bodies of servers that serve files.
fn folder() -> Result<Folder> {
    let folder = Folder::in_memory("bench")?;
    folder.folder("files")?;
    Ok(folder)
}

/// How busy the machine is: the load averages of the last one, five and fifteen minutes, and its processors.
pub fn machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().take(3).collect::<Vec<_>>().join(", ");
    // Not those that this process may use: it leaves one to the servers.
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processors = processors.lines().filter(|line| line.starts_with("processor")).count();
    format!("load {load} on {processors} processors")
}

/// Costs by kind, server, size and round. Servers take turns, and each round begins with another one.
fn measure<const KINDS: usize>(
    plan: &Plan,
    servers: usize,
    mut once: impl FnMut(usize, usize, usize) -> Result<[Cost; KINDS]>,
) -> Result<Vec<Vec<Vec<Vec<Cost>>>>> {
    let mut costs = vec![vec![vec![Vec::new(); plan.sizes.len()]; servers]; KINDS];
    for round in 0..plan.rounds {
        eprintln!("round {} of {}, {}", round + 1, plan.rounds, machine());
        for (column, (size, requests)) in plan.sizes.iter().enumerate() {
            for turn in 0..servers {
                let row = (round + turn) % servers;
                for (kind, cost) in once(row, *size, *requests)?.into_iter().enumerate() {
                    costs[kind][row][column].push(cost);
                }
            }
        }
    }
    Ok(costs)
}
