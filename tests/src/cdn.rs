//! Caches as a streaming team puts them in front of an origin, with the configurations of `tests/cdn`. Only names, ports and
//! folders are replaced, and lines added that let a cache run beside others without being installed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::folder::Folder;
use crate::peer::fetch;
use crate::program::{Program, free};

/// What the configurations call the origin.
const ORIGIN_HOST: &str = "origin.example";

/// A running cache with nothing in it; it ends with this value.
pub struct Cache {
    /// Where clients connect to.
    pub address: SocketAddr,
    /// Where nginx tells its state.
    state: Option<SocketAddr>,
    /// Before the folder, so that it has ended when that goes.
    _program: Program,
    _folder: Folder,
}

/// A file of `tests/cdn`.
pub fn configuration(name: &str) -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("cdn").join(name);
    std::fs::read_to_string(&file).with_context(|| file.display().to_string())
}

impl Cache {
    /// nginx with a configuration.
    pub fn nginx(origin: SocketAddr, configuration: &str) -> Result<Self> {
        let (address, state, folder) = (free()?, free()?, Folder::new("nginx")?);
        let path = folder.path().display().to_string();
        let server = configuration
            .replace(&format!("{ORIGIN_HOST}:8080"), &origin.to_string())
            .replace("listen 80;", &format!("listen {address} backlog=4096;"))
            .replace("/var/cache/nginx", &path);
        folder.write("media.conf", &server)?;
        let main = format!(
            "daemon off; user root; worker_processes 1; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; proxy_temp_path {path}/p; client_body_temp_path {path}/b;\n\
             fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             server {{ listen {state}; location / {{ stub_status; }} }}\n\
             include {path}/media.conf; }}\n"
        );
        let file = folder.write("nginx.conf", &main)?;
        let mut command = program("nginx");
        command.args(["-e", &format!("{path}/error.log"), "-c", &file]);
        Self::start("nginx", command, address, Some(state), folder)
    }

    /// Varnish with a configuration.
    pub fn varnish(origin: SocketAddr, configuration: &str) -> Result<Self> {
        let (address, folder) = (free()?, Folder::new("varnish")?);
        let vcl = configuration
            .replace(&format!("\"{ORIGIN_HOST}\""), &format!("\"{}\"", origin.ip()))
            .replace("\"8080\"", &format!("\"{}\"", origin.port()));
        let file = folder.write("default.vcl", &vcl)?;
        let mut command = program("varnishd");
        command.args([
            "-F",
            "-j",
            "none",
            "-a",
            &address.to_string(),
            "-f",
            &file,
            "-s",
            "malloc,256m",
            "-n",
        ]);
        command.arg(folder.path().join("work"));
        Self::start("varnish", command, address, None, folder)
    }

    /// Apache Traffic Server with what its configuration differs in from the defaults.
    pub fn traffic_server(origin: SocketAddr, records: &str, remap: &str) -> Result<Self> {
        let (address, folder) = (free()?, Folder::new("trafficserver")?);
        let path = folder.path().display().to_string();
        for name in ["etc", "log", "run", "cache"] {
            folder.folder(name)?;
        }
        // In 9.2 the user id "#-1" means: stay who you are.
        let own = format!(
            "CONFIG proxy.config.http.server_ports STRING {}:ip-in={}\n\
             CONFIG proxy.config.admin.user_id STRING #-1\n\
             CONFIG proxy.config.cache.ram_cache.size INT 64M\n\
             CONFIG proxy.config.log.logging_enabled INT 0\n",
            address.port(),
            address.ip()
        );
        folder.write("etc/records.config", &format!("{records}{own}"))?;
        folder
            .write("etc/remap.config", &remap.replace(&format!("{ORIGIN_HOST}:8080"), &origin.to_string()))?;
        folder.write("etc/storage.config", &format!("{path}/cache 256M\n"))?;
        folder.write(
            "etc/ip_allow.yaml",
            "ip_allow: [{apply: in, ip_addrs: 127.0.0.0/8, action: allow, methods: [GET, HEAD]}]\n",
        )?;
        for name in ["plugin", "ssl_multicert", "hosting", "volume", "cache", "parent", "socks", "splitdns"] {
            folder.write(&format!("etc/{name}.config"), "")?;
        }
        let root = format!(
            "prefix: {path}\nexec_prefix: /usr\nbindir: /usr/bin\nsbindir: /usr/sbin\nsysconfdir: {path}/etc\n\
             datadir: {path}/cache\nincludedir: /usr/include\nlibdir: /usr/lib/trafficserver\n\
             libexecdir: /usr/lib/trafficserver/modules\nlocalstatedir: {path}\nruntimedir: {path}/run\n\
             logdir: {path}/log\ncachedir: {path}/cache\nmandir: /usr/share/man\ninfodir: /usr/share/info\n"
        );
        let file = folder.write("runroot.yaml", &root)?;
        let mut command = program("traffic_server");
        command.arg(format!("--run-root={file}"));
        Self::start("traffic_server", command, address, None, folder)
    }

    /// Requests whose head nginx has read and not yet answered to the end, this one not counted.
    pub fn nginx_in_progress(&self) -> Result<usize> {
        let page = fetch(self.state.context("this is not nginx")?, "GET", "/")?.body;
        let page = String::from_utf8_lossy(&page).into_owned();
        let mut words = page.split_whitespace().skip_while(|word| *word != "Writing:").skip(1);
        let count: usize = words.next().context("nginx says nothing of writing")?.parse()?;
        Ok(count.saturating_sub(1))
    }

    fn start(
        name: &str,
        command: Command,
        address: SocketAddr,
        state: Option<SocketAddr>,
        folder: Folder,
    ) -> Result<Self> {
        let program = Program::start(name, command, address, folder.path())?;
        Ok(Self { address, state, _program: program, _folder: folder })
    }
}

/// A program that may be where only root looks.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}
