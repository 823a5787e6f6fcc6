//! What a server of a cluster is told: its configuration file.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The settings that the chart gives every server too.
const SETTINGS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/mediaorigin-operator/files/nats/settings.conf");
/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

/// Where one server is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name among the servers.
    pub name: String,
    /// For clients.
    pub client: SocketAddr,
    /// For other servers.
    pub route: SocketAddr,
    /// For `/jsz` and `/healthz`.
    pub monitor: SocketAddr,
    /// Where its streams are.
    pub data: PathBuf,
    /// The other servers, as this one reaches them.
    pub peers: Vec<SocketAddr>,
}

/// What a server is told: a file, the environment that it refers to, and arguments besides.
#[derive(Default)]
pub struct Configuration {
    /// The file.
    pub text: String,
    /// Names and values.
    pub environment: Vec<(String, String)>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// The configuration of a place.
pub type Config = Box<dyn Fn(&Place) -> Configuration + Send + Sync>;

/// What a cluster is made of; the default is what tests want.
#[derive(Default)]
pub struct Setup {
    /// `2.15` or `2.14`; `None`: the one that `MEDIAORIGIN_NATS_SERVER` names, or the first.
    pub line: Option<&'static str>,
    /// Servers reach each other over links that can be cut.
    pub has_links: bool,
    /// Every message is on the disk before it is acknowledged.
    pub syncs_always: bool,
    /// User and password of clients.
    pub user: Option<(String, String)>,
    /// Another configuration than that of the tests.
    pub config: Option<Config>,
}

impl Setup {
    pub(super) fn line(&self) -> String {
        let chosen = || std::env::var("MEDIAORIGIN_NATS_SERVER").unwrap_or_else(|_| "2.15".to_owned());
        self.line.map_or_else(chosen, str::to_owned)
    }

    /// What a server is told.
    pub(super) fn configuration(&self, place: &Place) -> Result<Configuration> {
        if let Some(config) = &self.config {
            return Ok(config(place));
        }
        let Place { name, client, route, monitor, data, peers } = place;
        let data = data.display();
        let mut text = std::fs::read_to_string(SETTINGS).context(SETTINGS)?;
        let sync = if self.syncs_always { "always" } else { "2m" };
        // Itself too: by the number of routes it knows, at its first start, how many are a majority.
        let routes: Vec<_> = peers.iter().chain([route]).map(|peer| format!("nats://{peer}")).collect();
        // Servers tell each other where the others are, and would go round a link that is cut.
        let advertise = if self.has_links { format!("advertise: \"{NOWHERE}\"") } else { String::new() };
        write!(
            text,
            "server_name: {name}\nlisten: \"{client}\"\nhttp: \"{monitor}\"\n\
             jetstream {{ store_dir: \"{data}\", max_mem: 64MB, max_file: 8GB, sync_interval: \"{sync}\" }}\n\
             cluster {{ name: tests, listen: \"{route}\", ping_interval: \"1s\", no_advertise: true, {advertise}\n\
             routes: {routes:?} }}\n"
        )?;
        if let Some((user, password)) = &self.user {
            writeln!(text, "authorization {{ user: {user:?}, password: {password:?} }}")?;
        }
        Ok(Configuration { text, ..Configuration::default() })
    }
}
