//! `spec.coordination`: how the pods of a fleet agree.

use super::{check_range, is_object_name, quantity};
use crate::config::{CoordinationConfig, LOG_BYTES};
use crate::hash::stable_hash;
use crate::names;
use crate::problem::Problem;
use crate::units::Bytes;
use crate::v1alpha1::{CoordinationSpec, MediaOriginSpec, PeerTlsSpec};

/// Longest name of a fleet among others on the same servers.
pub const SCOPE_LENGTH_MAX: usize = 64;
/// Servers of a URL at most.
pub const SERVERS_MAX: usize = 16;
/// Smallest and largest `walSize`.
pub const WAL_SIZE_MIN: Bytes = Bytes(64 * Bytes::MIB);
/// See above.
pub const WAL_SIZE_MAX: Bytes = Bytes(1024 * 1024 * Bytes::MIB);
/// Parts of a log at most.
const PARTITIONS_MAX: i32 = 64;
/// Characters of a URL at most.
const URL_LENGTH_MAX: usize = 1_024;

/// The coordination of a spec; what is wrong with it, and what does not fit it, is added to `problems`.
pub(super) fn coordination(
    origin: (Option<&str>, &str),
    spec: &MediaOriginSpec,
    problems: &mut Vec<Problem>,
) -> Option<CoordinationConfig> {
    let Some(CoordinationSpec { nats, peers }) = &spec.coordination else {
        if spec.replicas > 1 {
            let message = "more than one pod needs spec.coordination, by which they are one origin: set it, or use 0 or 1";
            problems.push(Problem::new("spec.replicas", message));
        }
        return None;
    };
    if spec.disk.is_some() {
        let message = "the disk of one pod is none of its fleet, and this version does not use it as a cache there: remove disk, or \
                       coordination";
        problems.push(Problem::new("spec.disk", message));
    }
    let mut wrong = |field: &str, message: String| {
        problems.push(Problem::new(format!("spec.coordination.nats.{field}"), message));
    };
    let servers: Vec<&str> = nats.url.split(',').collect();
    if nats.url.len() > URL_LENGTH_MAX || servers.len() > SERVERS_MAX {
        let (length, count) = (nats.url.len(), servers.len());
        let message = format!(
            "{length} characters and {count} servers, {URL_LENGTH_MAX} and {SERVERS_MAX} are possible"
        );
        wrong("url", message);
    } else if let Some(index) = servers.iter().position(|server| !is_server(server)) {
        // Not the value: what looks like an address with a user may hold a password.
        let message = format!(
            "server {} of {} has no address of the form nats://host:4222 or tls://host:4222; several stand behind each other with \
             commas, user and password in the Secret of credentialsSecretRef",
            index + 1,
            servers.len()
        );
        wrong("url", message);
    }
    if ![1, 3, 5].contains(&nats.copies) {
        let message = format!("{} copies are not possible: write 1, 3 or 5", nats.copies);
        wrong("copies", message);
    }
    if let Some(secret) = nats.credentials_secret_ref.as_ref().filter(|secret| !is_object_name(&secret.name))
    {
        wrong("credentialsSecretRef.name", format!("\"{}\" is not the name of a Secret", secret.name));
    }
    let field = "spec.coordination.nats.partitions";
    let partitions = check_range(field, nats.partitions, 1, PARTITIONS_MAX, problems);
    let log_bytes = nats.wal_size.as_ref().and_then(|size| wal_size(size, problems));
    Some(CoordinationConfig {
        servers: servers.into_iter().map(str::to_owned).collect(),
        credentials_dir: nats.credentials_secret_ref.as_ref().map(|_| names::NATS_DIR.to_owned()),
        scope: scope(origin),
        copies: u8::try_from(nats.copies).unwrap_or(1),
        partitions: u16::try_from(partitions).unwrap_or(1),
        log_bytes: log_bytes.map_or(LOG_BYTES, Bytes::get),
        peer_port: names::PEER_PORT,
        peer_tls: peers.as_ref().is_some_and(|peers| peers.tls == PeerTlsSpec::Enabled),
    })
}

fn wal_size(text: &str, problems: &mut Vec<Problem>) -> Option<Bytes> {
    let field = "spec.coordination.nats.walSize";
    let size = quantity(field, text, problems)?;
    if !(WAL_SIZE_MIN..=WAL_SIZE_MAX).contains(&size) {
        let message = format!("{size} is not possible: write {WAL_SIZE_MIN} to {WAL_SIZE_MAX}");
        problems.push(Problem::new(field, message));
        return None;
    }
    Some(size)
}

/// `nats://host`, `tls://host:port`, `nats://[address]:port`. The same as the pattern of the schema.
fn is_server(text: &str) -> bool {
    let rest = text.strip_prefix("nats://").or_else(|| text.strip_prefix("tls://"));
    let Some(rest) = rest else { return false };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let is_address = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
            if address.is_empty() || !address.bytes().all(is_address) {
                return false;
            }
            ("x", rest)
        }
        None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
    };
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_host = host.starts_with(|first: char| first.is_ascii_alphanumeric()) && host.bytes().all(is_inner);
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_port(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() && first != '0') && text.parse::<u16>().is_ok()
}

/// What a fleet is called among others on the same servers: `namespace-name`. Where that could be another origin too, or is too long, a
/// hash tells them apart: `a-b` in `c` is not `b` in `c-a`.
pub(crate) fn scope((namespace, name): (Option<&str>, &str)) -> String {
    let Some(namespace) = namespace else { return name.chars().take(SCOPE_LENGTH_MAX).collect() };
    let plain = format!("{namespace}-{name}");
    let is_clear = !namespace.contains('-') && !name.contains('-');
    if is_clear && plain.len() <= SCOPE_LENGTH_MAX {
        return plain;
    }
    let hash = stable_hash(&format!("{namespace}/{name}"));
    let kept: String = plain.chars().take(SCOPE_LENGTH_MAX - hash.len() - 1).collect();
    format!("{kept}-{hash}")
}
