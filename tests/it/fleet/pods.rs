//! The fleet itself: its processes, and the links of each to the NATS servers, to the bucket, and of the others to it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mediaorigin_crds::load;
use mediaorigin_origin::drain::Limits;
use mediaorigin_origin::fleet::Pod as Identity;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::links::Link;
use mediaorigin_tests::nats::{NatsCluster, PATIENCE, Setup};
use mediaorigin_tests::peer::{Answer, Peer};
use mediaorigin_tests::program::reserved;
use mediaorigin_tests::s3::{ACCESS_KEY, BUCKET, S3Server};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::clocks::Clocks;
pub(super) use super::size::{SMALL, Size};

const CHILD: &str = "MEDIAORIGIN_FLEET_CHILD";
const SECRET: &str = "a-secret-that-nobody-may-see";
/// Of `coordination`.
const ENCRYPTED: &str = ", peers: {tls: Enabled}";
/// How a pod drains: nobody has to be told of it first.
const DRAIN: Limits = Limits { min: Duration::from_millis(200), max: Duration::from_secs(10) };

/// What a process is told.
#[derive(Default, Serialize, Deserialize)]
struct Told {
    name: String,
    document: String,
    secret: Option<PathBuf>,
    /// The folder with the credentials of NATS.
    credentials: Option<PathBuf>,
    /// Where it listens for other pods, and where they reach that.
    peers: Option<(SocketAddr, SocketAddr)>,
    /// Seconds.
    forget_after: Option<u64>,
    zone: String,
}

/// An origin in a process of its own, which is this very program.
pub(crate) struct Pod {
    child: Child,
    pub(super) media: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// Everything; it ends with this value.
pub(super) struct Fleet {
    pub(super) pods: Vec<Option<Pod>>,
    /// By pod and server.
    pub(super) links: Vec<Vec<Link>>,
    /// By pod: where it listens for the others, and their way there.
    pub(super) peers: Vec<(SocketAddr, Link)>,
    /// By pod: its way to the bucket.
    pub(super) buckets: Vec<Link>,
    /// Wrong ones, where they are asked for.
    pub(super) clocks: Option<Clocks>,
    pub(super) nats: NatsCluster,
    pub(super) store: Option<S3Server>,
    secret: Folder,
    /// Those of NATS, where it asks for some.
    credentials: Option<Folder>,
    /// Whether pods that are started from now on are asked by TLS.
    pub(super) is_encrypted: bool,
    rules: String,
    pub(super) size: Size,
}

/// Not a test: the process of a pod.
#[test]
#[ignore = "a pod of the tests beside it"]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let running = run(serde_json::from_str(&told).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        println!("listens on {} {}", running.media_addr, running.admin_addr);
        terminate.recv().await;
        running.drain(DRAIN).await;
        running.finish().await;
    });
}

fn run(told: Told) -> Running {
    let resolved = load::parse(&told.document).unwrap_or_else(|problems| panic!("{problems:?}"));
    let (peer_listen, peer_address) = told.peers.unzip();
    let peer_address = peer_address.map(|address| address.to_string());
    let forget_after = told.forget_after.map(Duration::from_secs);
    let pod = Identity {
        name: told.name,
        credentials_dir: told.credentials,
        forget_after,
        peer_listen,
        peer_address,
        zone: told.zone,
    };
    let options = Options { pod, object_store_credentials_dir: told.secret, ..Options::default() };
    start_blocking(resolved, options).unwrap_or_else(|error| panic!("{error}"))
}

/// An origin in this process, with the servers of its fleet.
pub(crate) fn alone() -> (Running, NatsCluster) {
    let nats = NatsCluster::start().unwrap();
    (run(Told::of_one(&nats.urls(), None, "")), nats)
}

impl Told {
    /// A pod that is a fleet of its own.
    fn of_one(urls: &[String], credentials: Option<PathBuf>, peers: &str) -> Self {
        let document = format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: alone}}\nspec:\n  \
             coordination: {{nats: {{url: \"{}\"}}{peers}}}\n",
            urls.join(",")
        );
        Self { name: "pod-0".to_owned(), document, credentials, ..Self::default() }
    }
}

impl Pod {
    fn start(told: &Told, environment: &[(&str, String)]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "fleet::pods::child", "--ignored", "--nocapture"])
            .env(CHILD, serde_json::to_string(told)?)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let (media, admin) = loop {
            let line = lines.next().context("the pod ended before it listened")??;
            if let Some((_, addresses)) = line.split_once("listens on ") {
                let (media, admin) = addresses.trim().split_once(' ').context("two addresses")?;
                break (media.parse()?, admin.parse()?);
            }
        };
        // The rest is read, so that it never waits for a reader.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, media, admin })
    }

    /// A process that is a fleet of its own, with the credentials in a folder. It is not waited for.
    pub(crate) fn alone(servers: &[String], credentials: PathBuf) -> Self {
        Self::start(&Told::of_one(servers, Some(credentials), ""), &[]).unwrap()
    }

    /// The same; other pods, were there any, would ask it by TLS.
    pub(super) fn alone_encrypted(servers: &[String], credentials: PathBuf) -> Self {
        Self::start(&Told::of_one(servers, Some(credentials), ENCRYPTED), &[]).unwrap()
    }

    /// Whether it calls itself ready, and what it says otherwise.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        let answer = mediaorigin_tests::peer::fetch(self.admin, "GET", "/readyz");
        let answer = answer.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.head.status == 200 { Ok(()) } else { Err(text) }
    }

    /// One request over a connection of its own.
    pub(super) fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Peer::connect(self.media)?.request(method, target, &headers, body)
    }

    /// Asks it to end, and waits until it has: what it is about it finishes.
    pub(super) fn leave(mut self) {
        self.signal("-TERM").unwrap();
        wait_until("the pod to end", || match self.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill {signal}");
        Ok(())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Fails when it is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fleet {
    /// `count` pods that are ready, whose tier policies are `rules` (YAML), with a bucket if it is asked for.
    pub(super) fn start(count: usize, rules: &str, has_bucket: bool) -> Self {
        Self::start_with((count, SMALL), rules, has_bucket, None)
    }

    /// The same with pods of another size, or with clocks that are wrong.
    pub(super) fn start_with(
        pods: (usize, Size),
        rules: &str,
        has_bucket: bool,
        clocks: Option<Clocks>,
    ) -> Self {
        let nats = NatsCluster::start_with(Setup { has_links: true, ..Setup::default() }).unwrap();
        Self::start_over(nats, pods, rules, has_bucket, clocks)
    }

    /// The same over servers that are there.
    pub(super) fn start_over(
        nats: NatsCluster,
        (count, size): (usize, Size),
        rules: &str,
        has_bucket: bool,
        clocks: Option<Clocks>,
    ) -> Self {
        let store = has_bucket.then(|| S3Server::start(SECRET).unwrap());
        let secret = Folder::new("secret").unwrap();
        secret.write("accessKeyId", ACCESS_KEY).unwrap();
        secret.write("secretAccessKey", SECRET).unwrap();
        let to = |address| Link::start(address).unwrap();
        let links = (0..count).map(|_| nats.addresses().into_iter().map(to).collect()).collect();
        let peers = (0..count).map(|_| reserved().unwrap()).map(|listen| (listen, to(listen))).collect();
        let buckets = (0..count).filter_map(|_| store.as_ref().map(|store| to(store.address))).collect();
        let (pods, rules) = (Vec::new(), rules.to_owned());
        let credentials = nats.user().map(|(user, password)| {
            let folder = Folder::new("credentials").unwrap();
            folder.write("username", user).unwrap();
            folder.write("password", password).unwrap();
            folder
        });
        let is_encrypted = false;
        let mut fleet = Self {
            pods,
            links,
            peers,
            buckets,
            clocks,
            nats,
            store,
            secret,
            credentials,
            is_encrypted,
            rules,
            size,
        };
        for number in 0..count {
            let pod = fleet.launch(number);
            fleet.pods.push(Some(pod));
        }
        for number in 0..count {
            fleet.wait_ready(number);
        }
        fleet
    }

    fn launch(&self, number: usize) -> Pod {
        let store = self.buckets.get(number).map_or_else(String::new, |link| {
            let endpoint = link.address();
            format!("  objectStore: {{url: \"s3://{BUCKET}/origin\", endpoint: \"http://{endpoint}\"}}\n")
        });
        let servers = self.links[number].iter().map(|link| format!("nats://{}", link.address()));
        let document = format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: fleet, namespace: media}}\nspec:\n  \
             memory: {{limit: {}}}\n  limits: {{connections: {}}}\n  coordination: {{nats: {{partitions: {}, url: \"{}\"}}{}}}\n{store}  \
             tierPolicies: {}\n",
            self.size.memory,
            self.size.connections,
            self.size.partitions,
            servers.collect::<Vec<_>>().join(","),
            if self.is_encrypted { ENCRYPTED } else { "" },
            self.rules
        );
        let secret = self.store.is_some().then(|| self.secret.path().to_owned());
        let (listen, link) = &self.peers[number];
        let peers = Some((*listen, link.address()));
        let environment = self.clocks.as_ref().map_or_else(Vec::new, |clocks| clocks.environment(number));
        Pod::start(
            &Told {
                name: format!("pod-{number}"),
                document,
                secret,
                credentials: self.credentials.as_ref().map(|folder| folder.path().to_owned()),
                peers,
                forget_after: self.size.forget_after,
                zone: self.size.zone(number),
            },
            &environment,
        )
        .unwrap()
    }

    /// A pod that runs.
    pub(super) fn pod(&self, number: usize) -> &Pod {
        self.pods[number].as_ref().expect("the pod was killed")
    }

    /// kill -9.
    pub(super) fn kill(&mut self, number: usize) {
        self.pods[number] = None;
    }

    /// It ends as it should.
    pub(super) fn leave(&mut self, number: usize) {
        if let Some(pod) = self.pods[number].take() {
            pod.leave();
        }
    }

    /// Another process in its place, ready.
    pub(super) fn replace(&mut self, number: usize) {
        self.relaunch(number);
        self.wait_ready(number);
    }

    /// Another process in its place, which is not waited for.
    pub(super) fn relaunch(&mut self, number: usize) {
        self.pods[number] = None;
        let pod = self.launch(number);
        self.pods[number] = Some(pod);
    }

    /// Waits until a pod calls itself ready.
    pub(super) fn wait_ready(&self, number: usize) {
        wait_until(&format!("pod {number} to be ready"), || self.pod(number).readiness());
    }

    /// An upload that must succeed.
    #[track_caller]
    pub(super) fn put(&self, pod: usize, target: &str, body: &[u8]) -> Answer {
        let answer = self.pod(pod).ask("PUT", target, &[], Some(body)).unwrap();
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            matches!(answer.head.status, 201 | 204),
            "PUT {target} to pod {pod}: {} {text}",
            answer.head.status
        );
        answer
    }

    /// What a pod says of itself.
    pub(super) fn status(&self, pod: usize) -> serde_json::Value {
        let answer = mediaorigin_tests::peer::fetch(self.pod(pod).admin, "GET", "/-/status").unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// What a pod has counted.
    pub(super) fn metric(&self, pod: usize, name: &str) -> u64 {
        let answer = mediaorigin_tests::peer::fetch(self.pod(pod).admin, "GET", "/metrics").unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        let is = |line: &str| line.strip_prefix(name)?.trim().trim_end_matches(".0").parse().ok();
        let value = text.lines().find_map(is);
        value.unwrap_or_else(|| panic!("no {name}: {text}"))
    }

    /// A read.
    #[track_caller]
    pub(super) fn get(&self, pod: usize, target: &str) -> Answer {
        self.pod(pod).ask("GET", target, &[], None).unwrap()
    }
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "waited in vain for {what}: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}
