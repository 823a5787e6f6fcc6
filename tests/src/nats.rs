//! A cluster of real NATS servers with `JetStream` as processes of the test, on loopback, with their streams in temporary folders.
//!
//! `tests/nats/server` builds the program. The servers have the settings that the chart gives them. Each one can be killed, stopped,
//! asked to end, and started again with its disk or without.

mod client;
mod config;
mod disk;
mod monitor;
mod writer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

pub use client::{Client, Message};
pub use config::{Config, Configuration, Place, Setup};
pub use disk::SlowDisk;
pub use writer::{Written, store_until};

use crate::folder::Folder;
use crate::links::Link;
use crate::process::Process;
use crate::program::{go_program, reserved};

/// Servers of a cluster.
pub const SERVERS: usize = 3;
/// A start takes three seconds on an idle machine, an election ten on a bad day.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// One attempt of what is tried again.
const ATTEMPT: Duration = Duration::from_secs(2);

struct Server {
    place: Place,
    /// `None` when it does not run.
    process: Option<Process>,
    state: State,
}

/// What a server does, as far as the harness made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It answers, or soon will.
    Runs,
    /// It gets no turn.
    Stopped,
    /// It was asked to end, and will.
    Leaves,
}

/// Three servers; they end with this value, and so does what they store.
pub struct NatsCluster {
    servers: Vec<Server>,
    /// From the first to the second, where the servers reach each other over links.
    links: Vec<(usize, usize, Link)>,
    setup: Setup,
    program: PathBuf,
    folder: Folder,
}

impl NatsCluster {
    /// Starts three that are ready: a stream with three replicas can be made.
    pub fn start() -> Result<Self> {
        Self::start_with(Setup::default())
    }

    /// The same with a setup of its own.
    pub fn start_with(setup: Setup) -> Result<Self> {
        let mut cluster = Self::launch_all(setup)?;
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// The same without waiting for anything: where [`Client`] does not get in, as it does not with TLS.
    pub fn launch_all(setup: Setup) -> Result<Self> {
        let folder = Folder::new("nats")?;
        let program = go_program("nats", &setup.line())?;
        let mut servers = Vec::new();
        for index in 0..SERVERS {
            let name = format!("nats-{index}");
            let data = folder.folder(&name)?.join("data");
            let (client, route, monitor) = (reserved()?, reserved()?, reserved()?);
            let place = Place { name, client, route, monitor, data, peers: Vec::new() };
            servers.push(Server { place, process: None, state: State::Runs });
        }
        let mut links = Vec::new();
        for from in 0..SERVERS {
            for to in (0..SERVERS).filter(|to| *to != from) {
                let mut address = servers[to].place.route;
                if setup.has_links {
                    let link = Link::start(address)?;
                    address = link.address();
                    links.push((from, to, link));
                }
                servers[from].place.peers.push(address);
            }
        }
        let mut cluster = Self { servers, links, setup, program, folder };
        for index in 0..SERVERS {
            cluster.launch(index)?;
        }
        Ok(cluster)
    }

    /// Where clients connect, one per server.
    pub fn urls(&self) -> Vec<String> {
        self.addresses().iter().map(|address| format!("nats://{address}")).collect()
    }

    /// The same as addresses.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.place.client).collect()
    }

    /// User and password of clients.
    pub fn user(&self) -> Option<&(String, String)> {
        self.setup.user.as_ref()
    }

    /// A client of one server.
    pub fn client(&self, index: usize) -> Result<Client> {
        Client::connect_as(self.servers[index].place.client, self.user(), PATIENCE)
    }

    /// A client of one server that soon gives up: for what is tried again, as a request to a leader that has just gone has to be.
    pub fn hasty_client(&self, index: usize) -> Result<Client> {
        Client::connect_as(self.servers[index].place.client, self.user(), ATTEMPT)
    }

    /// A client of a server that answers.
    pub fn any_client(&self) -> Result<Client> {
        let index = self.answering().next().context("no server runs")?;
        self.client(index)
    }

    /// Waits until a stream with a replica on every server can be made, then removes it.
    pub fn wait_ready(&mut self) -> Result<()> {
        let name = "harness-is-ready";
        self.wait_until("a cluster that makes streams", |cluster| {
            let index = cluster.answering().next().context("no server runs")?;
            let mut client = cluster.hasty_client(index)?;
            let replicas = u8::try_from(SERVERS)?;
            client.create_stream(name, name, replicas, &Value::Null)?;
            client.api(&format!("STREAM.DELETE.{name}"), &Value::Null)?;
            Ok(Some(()))
        })
    }

    /// Makes a stream, and tries until it is made: on a busy machine a server may say that it cannot, and can a moment later.
    pub fn make_stream(&mut self, name: &str, subjects: &str, replicas: u8, more: &Value) -> Result<()> {
        self.wait_until(&format!("the stream {name}"), |cluster| {
            let index = cluster.answering().next().context("no server runs")?;
            cluster.client(index)?.create_stream(name, subjects, replicas, more).map(Some)
        })
    }

    /// Waits until a server calls itself healthy: what it has of every stream is up to date.
    pub fn wait_healthy(&mut self, index: usize) -> Result<()> {
        self.wait_until(&format!("nats-{index} to be healthy"), |cluster| {
            Ok(monitor::get(cluster.servers[index].place.monitor, "/healthz").is_ok().then_some(()))
        })
    }

    /// Asks until there is an answer; an error is an answer that is not there yet.
    pub fn wait_until<T>(
        &mut self,
        what: &str,
        mut ask: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.look_for_ended()?;
            let answer = ask(self);
            if let Ok(Some(answer)) = answer {
                return Ok(answer);
            }
            ensure!(Instant::now() < deadline, "waited in vain for {what}: {:?}", answer.err());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The server that leads a stream; `None` while none says so, or more than one.
    pub fn stream_leader(&self, stream: &str) -> Option<usize> {
        self.leader("/jsz?accounts=true&streams=true", |answer| monitor::leader_of(answer, stream))
    }

    /// The server that leads the cluster's own group, which makes streams and consumers.
    pub fn meta_leader(&self) -> Option<usize> {
        self.leader("/jsz", |answer| answer.pointer("/meta_cluster/leader")?.as_str().map(str::to_owned))
    }

    /// Waits for a stream's leader.
    pub fn wait_stream_leader(&mut self, stream: &str) -> Result<usize> {
        self.wait_until(&format!("a leader of {stream}"), |cluster| Ok(cluster.stream_leader(stream)))
    }

    /// Waits for the leader of the cluster's own group.
    pub fn wait_meta_leader(&mut self) -> Result<usize> {
        self.wait_until("a meta leader", |cluster| Ok(cluster.meta_leader()))
    }

    /// How many messages one server itself has of a stream.
    pub fn messages_on(&self, index: usize, stream: &str) -> Result<u64> {
        let answer = self.monitor(index, "/jsz?accounts=true&streams=true")?;
        let stream = monitor::stream(&answer, stream).context("it has none of the stream")?;
        stream.pointer("/state/messages").and_then(Value::as_u64).context("no count")
    }

    /// What a server's monitoring port answers.
    pub fn monitor(&self, index: usize, path: &str) -> Result<Value> {
        monitor::get(self.servers[index].place.monitor, path)
    }

    /// Ends a server at once.
    pub fn kill(&mut self, index: usize) {
        self.servers[index].process = None;
    }

    /// Gives a server no turn until [`Self::resume`]; its connections stay.
    pub fn stop(&mut self, index: usize) -> Result<()> {
        self.process(index)?.signal("STOP")?;
        self.servers[index].state = State::Stopped;
        Ok(())
    }

    /// Lets a stopped server go on.
    pub fn resume(&mut self, index: usize) -> Result<()> {
        self.process(index)?.signal("CONT")?;
        self.servers[index].state = State::Runs;
        Ok(())
    }

    /// Asks a server to end, and waits until it has.
    pub fn terminate(&mut self, index: usize) -> Result<()> {
        self.process(index)?.signal("TERM")?;
        self.servers[index].state = State::Leaves;
        self.wait_end(index)
    }

    /// Asks a server to hand over what it leads and to close its clients one by one; it ends when all are gone.
    pub fn lame_duck(&mut self, index: usize) -> Result<()> {
        self.process(index)?.signal("USR2")?;
        self.servers[index].state = State::Leaves;
        Ok(())
    }

    /// Waits until a server that was asked to end has.
    pub fn wait_end(&mut self, index: usize) -> Result<()> {
        let mut process = self.servers[index].process.take().context("it does not run")?;
        process.wait_end(PATIENCE)
    }

    /// Starts a server that has ended, on its disk. It is not waited for.
    pub fn restart(&mut self, index: usize) -> Result<()> {
        ensure!(self.servers[index].process.is_none(), "it runs");
        self.launch(index)
    }

    /// Starts a server that has ended, on an empty disk. It is not waited for.
    pub fn restart_without_disk(&mut self, index: usize) -> Result<()> {
        ensure!(self.servers[index].process.is_none(), "it runs");
        std::fs::remove_dir_all(&self.servers[index].place.data).context("the disk")?;
        self.launch(index)
    }

    /// The links between two servers, in both directions; empty unless [`Setup::has_links`].
    pub fn links(&self, one: usize, other: usize) -> impl Iterator<Item = &Link> {
        let is_between =
            move |from: usize, to: usize| (from, to) == (one, other) || (from, to) == (other, one);
        self.links.iter().filter(move |(from, to, _)| is_between(*from, *to)).map(|(_, _, link)| link)
    }

    /// What a server has written to its log.
    pub fn log(&self, index: usize) -> Result<String> {
        let file = self.folder.path().join(&self.servers[index].place.name).join("nats-server.log");
        Ok(std::fs::read_to_string(file)?)
    }

    fn launch(&mut self, index: usize) -> Result<()> {
        let place = &self.servers[index].place;
        let folder = self.folder.folder(&place.name)?;
        let file = folder.join("nats.conf");
        let Configuration { text, environment, arguments: more } = self.setup.configuration(place)?;
        std::fs::write(&file, text)?;
        let environment: Vec<_> =
            environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let arguments = [vec!["-c".to_owned(), file.display().to_string()], more].concat();
        self.servers[index].process =
            Some(Process::start_with("nats-server", &self.program, &arguments, &environment, &folder)?);
        self.servers[index].state = State::Runs;
        Ok(())
    }

    fn process(&self, index: usize) -> Result<&Process> {
        self.servers[index].process.as_ref().context("it does not run")
    }

    /// A server that ends by itself takes the test with it, and says why.
    fn look_for_ended(&mut self) -> Result<()> {
        for server in &mut self.servers {
            if let Some(process) = &mut server.process
                && server.state != State::Leaves
                && process.has_ended()?
            {
                bail!("{} has ended:\n{}", server.place.name, process.last_words()?);
            }
        }
        Ok(())
    }

    fn answering(&self) -> impl Iterator<Item = usize> {
        let answers = |server: &Server| server.process.is_some() && server.state == State::Runs;
        (0..SERVERS).filter(move |index| answers(&self.servers[*index]))
    }

    /// The one server that says of itself that it leads.
    fn leader(&self, path: &str, of: impl Fn(&Value) -> Option<String>) -> Option<usize> {
        let mut found = Vec::new();
        for index in self.answering() {
            let leader = self.monitor(index, path).ok().and_then(|answer| of(&answer));
            if leader.as_ref() == Some(&self.servers[index].place.name) {
                found.push(index);
            }
        }
        if let [one] = found[..] { Some(one) } else { None }
    }
}

/// The index's stream as an origin makes it: one message per subject, three replicas.
pub fn compacted() -> Value {
    json!({ "max_msgs_per_subject": 1, "duplicate_window": 120_000_000_000_u64 })
}
