//! GET from memory, compared with other servers: CPU time of the server per request. Timings of a shared machine mean little by
//! themselves, so servers are measured in turns and compared within each round. And RW-02: the delay of a chunk.

mod delay;
mod load;
mod server;
mod table;

use std::path::Path;

use anyhow::Result;

pub use delay::{Delays, chunk_delay};
pub use load::{Load, Outcome, load};
pub use server::Server;

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

impl Default for Plan {
    fn default() -> Self {
        let sizes = vec![(2 << 10, 8_000), (100 << 10, 3_000), (1 << 20, 500), (4 << 20, 150)];
        Self { rounds: 5, sizes, connections: 32 }
    }
}

/// One measurement: microseconds of CPU per request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost(pub(crate) f64);

/// Runs the whole comparison; the result is a Markdown table.
pub fn get_from_memory(origin: &Path, plan: &Plan) -> Result<String> {
    let folder = server::Folder::new()?;
    let servers = [Server::origin(origin, &folder)?, Server::nginx(&folder)?, Server::varnish(&folder)?];
    for server in &servers {
        for (size, _) in &plan.sizes {
            server.prepare(&folder, *size)?;
        }
    }
    let mut costs = vec![vec![Vec::new(); plan.sizes.len()]; servers.len()];
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        for (column, (size, requests)) in plan.sizes.iter().enumerate() {
            for (row, server) in servers.iter().enumerate() {
                costs[row][column].push(measure(server, *size, *requests, plan.connections)?);
            }
        }
    }
    Ok(table::render(&servers.iter().map(|server| server.name).collect::<Vec<_>>(), plan, &costs))
}

/// RW-02 with one reader, ten and a hundred; the result is a Markdown table.
pub fn delays(origin: &Path) -> Result<String> {
    let folder = server::Folder::new()?;
    let server = Server::origin(origin, &folder)?;
    let delays = [1, 10, 100].map(|readers| chunk_delay(server.address, readers, 200));
    table::render_delays(&delays.into_iter().collect::<Result<Vec<_>>>()?)
}

fn measure(server: &Server, size: usize, requests: usize, connections: usize) -> Result<Cost> {
    let target = format!("/{}", server::file_name(size));
    let load = Load { address: server.address, target, connections, requests, size };
    let before = server.cpu_nanos()?;
    let outcome = load::load(&load)?;
    let after = server.cpu_nanos()?;
    anyhow::ensure!(
        outcome.requests == requests,
        "{}: {} of {requests} requests answered",
        server.name,
        outcome.requests
    );
    Ok(Cost((after - before) as f64 / 1_000.0 / requests as f64))
}
