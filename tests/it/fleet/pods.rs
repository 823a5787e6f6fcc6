//! The fleet itself: its processes, and the links from each to the NATS servers.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mediaorigin_crds::load;
use mediaorigin_origin::fleet::Pod as Identity;
use mediaorigin_origin::{Options, Running, start_blocking};
use mediaorigin_tests::folder::Folder;
use mediaorigin_tests::links::Link;
use mediaorigin_tests::nats::{NatsCluster, PATIENCE, Setup};
use mediaorigin_tests::peer::{Answer, Peer};
use mediaorigin_tests::s3::{ACCESS_KEY, BUCKET, S3Server};
use serde::{Deserialize, Serialize};

const CHILD: &str = "MEDIAORIGIN_FLEET_CHILD";
const SECRET: &str = "a-secret-that-nobody-may-see";

/// What a process is told.
#[derive(Serialize, Deserialize)]
struct Told {
    name: String,
    document: String,
    secret: Option<PathBuf>,
}

/// An origin in a process of its own, which is this very program.
pub(super) struct Pod {
    child: Child,
    pub(super) media: SocketAddr,
    admin: SocketAddr,
}

/// Everything; it ends with this value.
pub(super) struct Fleet {
    pub(super) pods: Vec<Option<Pod>>,
    /// By pod and server.
    pub(super) links: Vec<Vec<Link>>,
    pub(super) nats: NatsCluster,
    pub(super) store: Option<S3Server>,
    secret: Folder,
    rules: String,
}

/// Not a test: the process of a pod.
#[test]
#[ignore = "a pod of the tests beside it"]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let running = run(serde_json::from_str(&told).unwrap());
    println!("listens on {} {}", running.media_addr, running.admin_addr);
    loop {
        thread::park();
    }
}

fn run(told: Told) -> Running {
    let resolved = load::parse(&told.document).unwrap_or_else(|problems| panic!("{problems:?}"));
    let pod = Identity { name: told.name, ..Identity::default() };
    let options = Options { pod, object_store_credentials_dir: told.secret, ..Options::default() };
    start_blocking(resolved, options).unwrap_or_else(|error| panic!("{error}"))
}

/// An origin in this process, with the servers of its fleet.
pub(crate) fn alone() -> (Running, NatsCluster) {
    let nats = NatsCluster::start().unwrap();
    let document = format!(
        "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: alone}}\nspec:\n  \
         coordination: {{nats: {{url: \"{}\"}}}}\n",
        nats.urls().join(",")
    );
    let told = Told { name: "pod-0".to_owned(), document, secret: None };
    (run(told), nats)
}

impl Pod {
    fn start(told: &Told) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "fleet::pods::child", "--ignored", "--nocapture"])
            .env(CHILD, serde_json::to_string(told)?)
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

    /// Whether it calls itself ready, and what it says otherwise.
    pub(super) fn readiness(&self) -> Result<(), String> {
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
        let nats = NatsCluster::start_with(Setup { has_links: true, ..Setup::default() }).unwrap();
        let store = has_bucket.then(|| S3Server::start(SECRET).unwrap());
        let secret = Folder::new("secret").unwrap();
        secret.write("accessKeyId", ACCESS_KEY).unwrap();
        secret.write("secretAccessKey", SECRET).unwrap();
        let to = |address| Link::start(address).unwrap();
        let links = (0..count).map(|_| nats.addresses().into_iter().map(to).collect()).collect();
        let mut fleet = Self { pods: Vec::new(), links, nats, store, secret, rules: rules.to_owned() };
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
        let store = self.store.as_ref().map_or_else(String::new, |store| {
            format!(
                "  objectStore: {{url: \"s3://{BUCKET}/origin\", endpoint: \"http://{}\"}}\n",
                store.address
            )
        });
        let servers = self.links[number].iter().map(|link| format!("nats://{}", link.address()));
        let document = format!(
            "apiVersion: mediaorigin.io/v1alpha1\nkind: MediaOrigin\nmetadata: {{name: fleet, namespace: media}}\nspec:\n  \
             memory: {{limit: 256Mi}}\n  limits: {{connections: 200}}\n  coordination: {{nats: {{url: \"{}\"}}}}\n{store}  \
             tierPolicies: {}\n",
            servers.collect::<Vec<_>>().join(","),
            self.rules
        );
        let secret = self.store.is_some().then(|| self.secret.path().to_owned());
        Pod::start(&Told { name: format!("pod-{number}"), document, secret }).unwrap()
    }

    /// A pod that runs.
    pub(super) fn pod(&self, number: usize) -> &Pod {
        self.pods[number].as_ref().expect("the pod was killed")
    }

    /// kill -9.
    pub(super) fn kill(&mut self, number: usize) {
        self.pods[number] = None;
    }

    /// Another process in its place, ready.
    pub(super) fn replace(&mut self, number: usize) {
        self.pods[number] = None;
        let pod = self.launch(number);
        self.pods[number] = Some(pod);
        self.wait_ready(number);
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

    /// What a pod has counted.
    pub(super) fn metric(&self, pod: usize, name: &str) -> u64 {
        let answer = mediaorigin_tests::peer::fetch(self.pod(pod).admin, "GET", "/metrics").unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
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
