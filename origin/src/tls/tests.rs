//! TLS on the media port, over real sockets: IN-23 (mutual TLS for ingest, TLS 1.2 at least) and the renewal of certificates.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mediaorigin_crds::config::TlsConfig;
use mediaorigin_crds::load as contract;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};

use super::{ClientCertificates, Look, Tls};
use crate::clock::Clock;
use crate::connection::TimeoutPhase;
use crate::{Options, Running, StartError, start_blocking};

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority that vouches for servers and clients.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key in PEM form.
#[derive(Clone)]
pub(crate) struct Pair {
    chain: String,
    key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn issue(&self) -> Pair {
        self.issue_until(4096, 1, 1)
    }

    fn issue_until(&self, year: i32, month: u8, day: u8) -> Pair {
        let mut params = CertificateParams::new(vec!["origin.test".to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self, own: Option<&Pair>, protocols: &[&[u8]]) -> ClientConfig {
        self.client_of(own, protocols, &[&version::TLS13, &version::TLS12])
    }

    fn client_of(
        &self,
        own: Option<&Pair>,
        protocols: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }
}

/// A folder of certificates; gone at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(authority: &Authority) -> Self {
        let path = std::env::temp_dir().join(format!("mediaorigin-tls-{:x}", fastrand::u64(..)));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.install(&authority.issue());
        folder.write("ca.crt", &authority.pem());
        folder
    }

    fn install(&self, pair: &Pair) {
        self.write("tls.crt", &pair.chain);
        self.write("tls.key", &pair.key);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn begin(folder: &Folder, client_certificates: ClientCertificates) -> Running {
    let options = Options { tls_dir: Some(folder.0.clone()), client_certificates, ..Options::default() };
    start_blocking(contract::built_in().unwrap(), options).unwrap()
}

type Session = StreamOwned<ClientConnection, TcpStream>;

pub(crate) fn connect(address: SocketAddr, config: ClientConfig) -> Session {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("origin.test").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket)
}

/// One request on a connection of its own, to its clean end.
fn ask(address: SocketAddr, config: ClientConfig, request: &[u8]) -> std::io::Result<String> {
    let mut session = connect(address, config);
    session.write_all(request)?;
    let mut answer = Vec::new();
    session.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

const PUT: &[u8] = b"PUT /live/a.ts HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
const GET: &[u8] = b"GET /live/a.ts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn both_versions_of_tls_carry_uploads_and_reads() {
    let authority = Authority::new();
    let folder = Folder::new(&authority);
    let running = begin(&folder, ClientCertificates::Ignored);
    for version in [&version::TLS12, &version::TLS13] {
        let client = || authority.client_of(None, &[b"http/1.1"], &[version]);
        let body = b"0123456789".repeat(500_000);
        let head = format!(
            "PUT /live/big.ts HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut session = connect(running.media_addr, client());
        session.write_all(head.as_bytes()).unwrap();
        let mut interim = [0; 25];
        session.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        session.write_all(&body).unwrap();
        let mut answer = String::new();
        session.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");

        let get = "GET /live/big.ts HTTP/1.1\r\nHost: a\r\n\r\nHEAD /live/big.ts HTTP/1.0\r\n\r\n";
        let answer = ask(running.media_addr, client(), get.as_bytes()).unwrap();
        let (_, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(rest.as_bytes()[..body.len()], body);
        assert!(rest[body.len()..].starts_with("HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n"));
    }
    // TLS 1.1 in the record and in the hello, one cipher suite, no extension.
    let mut old = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x02".to_vec();
    old.extend([7; 32]);
    old.extend(b"\x00\x00\x04\x00\x2f\x00\x35\x01\x00");
    let mut socket = TcpStream::connect(running.media_addr).unwrap();
    socket.write_all(&old).unwrap();
    let mut alert = Vec::new();
    // The end may be a reset, but the alert comes first.
    let _ = socket.read_to_end(&mut alert);
    assert_eq!(alert.first().copied(), Some(0x15), "{alert:?}");
    wait_for(|| (running.origin().connections.handshakes_failed() == 1).then_some(()));
}

#[test]
fn writing_needs_a_client_certificate_where_the_origin_says_so_and_reading_does_not() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let folder = Folder::new(&authority);
    let running = begin(&folder, ClientCertificates::NeededToWrite);
    let (address, own) = (running.media_addr, authority.issue());
    let without = || authority.client(None, &[]);
    let answer = ask(address, without(), PUT).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("client certificate"), "{answer}");
    assert!(ask(address, authority.client(Some(&own), &[]), PUT).unwrap().starts_with("HTTP/1.1 201 "));
    assert!(ask(address, without(), GET).unwrap().ends_with("\r\n\r\nabc"));
    let delete = b"DELETE /live/a.ts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(ask(address, without(), delete).unwrap().starts_with("HTTP/1.1 403 "));
    // A resumed session keeps its certificate.
    let client = authority.client(Some(&own), &[]);
    for _ in 0..3 {
        assert!(ask(address, client.clone(), PUT).unwrap().starts_with("HTTP/1.1 20"));
    }
    let failed = running.origin().connections.handshakes_failed();
    let strange = authority.client(Some(&stranger.issue()), &[]);
    assert!(ask(address, strange, PUT).is_err(), "somebody else's certificate gets nowhere");
    wait_for(|| (running.origin().connections.handshakes_failed() == failed + 1).then_some(()));
}

#[test]
fn http_2_is_spoken_with_whoever_asks_for_it() {
    let authority = Authority::new();
    let folder = Folder::new(&authority);
    let running = begin(&folder, ClientCertificates::NeededToWrite);
    let own = authority.issue();
    let put = async |own: Option<&Pair>| {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(authority.client(own, &[b"h2"])));
        let socket = tokio::net::TcpStream::connect(running.media_addr).await.unwrap();
        let stream = connector.connect("origin.test".try_into().unwrap(), socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut send = send.ready().await.unwrap();
        let request = http_types::Request::put("https://origin.test/live/a.ts").body(()).unwrap();
        let (response, mut body) = send.send_request(request, false).unwrap();
        body.send_data("abc".into(), true).unwrap();
        let status = response.await.unwrap().status().as_u16();
        connection.abort();
        status
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(put(None).await, 403);
        assert_eq!(put(Some(&own)).await, 201);
    });
    assert!(ask(running.media_addr, authority.client(None, &[b"http/1.1"]), GET).unwrap().ends_with("abc"));
    assert!(ask(running.media_addr, authority.client(None, &[]), GET).unwrap().ends_with("abc"));
}

#[test]
fn a_renewed_certificate_is_served_and_a_bad_one_is_not() {
    let (authority, next) = (Authority::new(), Authority::new());
    let folder = Folder::new(&authority);
    let running = begin(&folder, ClientCertificates::Ignored);
    let address = running.media_addr;
    assert!(ask(address, authority.client(None, &[]), PUT).unwrap().starts_with("HTTP/1.1 201 "));
    let mut open = connect(address, authority.client(None, &[]));
    let request = b"GET /live/a.ts HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut exchange = || {
        open.write_all(request).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"abc") {
            let mut byte = [0];
            open.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    };
    exchange();

    folder.write("tls.key", &authority.issue().key);
    let told = wait_for(|| {
        let told = crate::status::Status::of(running.origin()).tls_refused;
        (!told.is_empty()).then_some(told)
    });
    assert!(told.contains("tls.crt and tls.key") && !told.contains("PRIVATE"), "{told}");
    assert!(ask(address, authority.client(None, &[]), GET).unwrap().ends_with("abc"), "the last good one");

    folder.install(&next.issue());
    wait_for(|| ask(address, next.client(None, &[]), GET).ok());
    assert!(ask(address, authority.client(None, &[]), GET).is_err(), "the old authority vouches no more");
    assert_eq!(crate::status::Status::of(running.origin()).tls_refused, "");
    // An open connection did not notice.
    exchange();
}

fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

#[test]
fn looks_at_the_folder_tell_each_refusal_once() {
    let authority = Authority::new();
    let folder = Folder::new(&authority);
    let tls = Tls::load(&folder.0, ClientCertificates::NeededToWrite).unwrap();
    assert_eq!(tls.look(), Look::Same);
    folder.install(&authority.issue());
    assert_eq!((tls.look(), tls.look()), (Look::Renewed, Look::Same));
    for (name, text, word) in [
        ("tls.crt", "nonsense", "tls.crt has no certificate"),
        ("tls.key", "", "tls.key has no private key"),
        ("ca.crt", "", "ca.crt has no certificate"),
    ] {
        let good = std::fs::read_to_string(folder.0.join(name)).unwrap();
        folder.write(name, text);
        let Look::Refused(reason) = tls.look() else { panic!("{name} is taken") };
        assert!(reason.contains(word), "{reason}");
        assert_eq!((tls.look(), tls.problem()), (Look::Same, Some(reason)));
        std::fs::remove_file(folder.0.join(name)).unwrap();
        assert!(matches!(tls.look(), Look::Refused(reason) if reason.contains("cannot read")), "{name}");
        folder.write(name, &good);
        assert_eq!((tls.look(), tls.problem()), (Look::Renewed, None));
    }
}

/// The metric of the served certificate, and what is told of certificates.
fn told(running: &Running) -> (Option<u64>, Vec<(String, String)>) {
    let (_, metrics) = crate::exposition::text(running.origin(), "").unwrap();
    let name = "mediaorigin_tls_certificate_not_after_timestamp_seconds ";
    let metric = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    let events = serde_json::to_value(running.origin().book.events.report(0)).unwrap();
    let events = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "certificate");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (metric, events.map(|event| (text(&event["time"]), text(&event["reason"]))).collect())
}

#[test]
fn the_end_of_a_certificate_is_a_metric_and_an_event_a_day_before() {
    let authority = Authority::new();
    let folder = Folder::new(&authority);
    folder.install(&authority.issue_until(2030, 1, 3));
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_hours(525_960)); // 2030-01-01
    let options = Options { tls_dir: Some(folder.0.clone()), clock: clock.clone(), ..Options::default() };
    let running = start_blocking(contract::built_in().unwrap(), options).unwrap();
    assert_eq!(told(&running).0, Some(1_893_628_800));
    clock.advance(Duration::from_hours(25));
    let events = wait_for(|| Some(told(&running).1).filter(|events| !events.is_empty()));
    // Not before: the time of the event is that of the clock.
    let expected = "it has less than a day left: it ends at 2030-01-03T00:00:00.000Z";
    assert_eq!(events, [("2030-01-02T01:00:00.000Z".to_owned(), expected.to_owned())]);
    folder.install(&authority.issue_until(2031, 1, 1));
    // Both files of it are there at some look; until then a refusal may be told.
    wait_for(|| (told(&running).0 == Some(1_924_992_000)).then_some(()));
    let events =
        wait_for(|| Some(told(&running).1).filter(|events| events.last().unwrap().1 == "it changed"));
    assert_eq!(events.iter().filter(|(_, reason)| reason.contains("less than a day")).count(), 1);
}

#[test]
fn the_folder_of_the_configuration_is_used_with_the_authorities_that_it_asks_for() {
    let authority = Authority::new();
    let folder = Folder::new(&authority);
    let dir = folder.0.to_str().unwrap().to_owned();
    let mut resolved = contract::built_in().unwrap();
    resolved.cold.tls = Some(TlsConfig { dir, requires_client_certificates: true });
    let running = start_blocking(resolved, Options::default()).unwrap();
    let own = authority.issue();
    assert!(ask(running.media_addr, authority.client(None, &[]), PUT).unwrap().starts_with("HTTP/1.1 403 "));
    let answer = ask(running.media_addr, authority.client(Some(&own), &[]), PUT).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[test]
fn an_origin_without_a_good_certificate_does_not_start() {
    let folder = Folder::new(&Authority::new());
    std::fs::remove_file(folder.0.join("tls.key")).unwrap();
    let options = Options { tls_dir: Some(folder.0.clone()), ..Options::default() };
    let error = start_blocking(contract::built_in().unwrap(), options).unwrap_err();
    assert!(matches!(error, StartError::Tls(_)) && error.to_string().contains("tls.key"), "{error}");
}

#[test]
fn a_silent_handshake_is_cut_and_a_tls_reader_that_stalls_too() {
    let authority = Authority::new();
    let folder = Folder::new(&authority);
    let tls = Tls::load(&folder.0, ClientCertificates::Ignored).unwrap();
    let settings = crate::connection::Settings {
        head_timeout: Duration::from_millis(300),
        write_stall_timeout: Duration::from_millis(300),
        ..Default::default()
    };
    let server = crate::connection::tests::TestServer::with_tls(settings, Arc::clone(tls.served()));
    let mut silent = TcpStream::connect(server.address).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    wait_for(|| (server.counters.handshakes_failed() == 1).then_some(()));
    let mut reader = connect(server.address, authority.client(None, &[]));
    reader.write_all(b"GET /large/60000000 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_for(|| (server.counters.timed_out(TimeoutPhase::WriteStall) == 1).then_some(()));
    server.wait_until_empty();
}
