//! A connection to servers that are new enough.

use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout_at};

use super::partition::BATCH;
use crate::config::Config;

/// The oldest version: batches of direct gets name the message before each one, and dead leaders are replaced as measured.
pub const VERSION_MIN: (u64, u64) = (2, 14);
/// A link that swallows everything is noticed after about two of these.
const PING_INTERVAL: Duration = Duration::from_secs(1);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages that wait in this process: a fetch, and some. What does not fit is dropped by the library and fetched from the log, so
/// this need not hold a replay.
const SUBSCRIPTION_CAPACITY: usize = BATCH + 4_096;
/// Events of the connection that wait for a partition; more than one of them says no more than one.
const EVENTS_MAX: usize = 16;

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address is none.
    #[error("\"{0}\" is no address of a NATS server")]
    Address(String),
    /// Nobody answered in time.
    #[error("no NATS server of {servers:?} could be reached: {source}")]
    Unreachable {
        /// Those that were tried.
        servers: Vec<String>,
        /// The last answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server answered, and does not let this pod in.
    #[error("NATS refuses {who}: {source}")]
    Refused {
        /// Whom.
        who: String,
        /// Its answer.
        source: async_nats::ConnectError,
    },
    /// The server is too old, or says no version.
    #[error(
        "NATS server {name} is version {version}: the index needs {}.{} or newer",
        VERSION_MIN.0,
        VERSION_MIN.1
    )]
    Version {
        /// Its name.
        name: String,
        /// What it calls itself.
        version: String,
    },
    /// The configuration asks for what cannot be.
    #[error("{0}")]
    Config(String),
    /// The servers have no room for the stream.
    #[error("stream {stream}: there is no room for it: {reason}")]
    NoRoom {
        /// Which one.
        stream: String,
        /// Why, in the servers' words.
        reason: String,
    },
    /// The stream is not as it must be, and cannot be made so.
    #[error("stream {stream}: {reason}")]
    Stream {
        /// Which one.
        stream: String,
        /// Why.
        reason: String,
    },
}

/// Connects, within `config.patience`; the receiver wakes whenever the connection comes or goes.
pub(crate) async fn connect(config: &Config) -> Result<(Client, broadcast::Receiver<()>), ConnectError> {
    let mut addresses = Vec::new();
    for server in &config.servers {
        let address = server.parse::<ServerAddr>().map_err(|_| ConnectError::Address(server.clone()))?;
        addresses.push(address);
    }
    let (events, receiver) = broadcast::channel(EVENTS_MAX);
    let deadline = Instant::now() + config.patience;
    let mut before: Option<Box<dyn std::error::Error + Send + Sync>> = None;
    loop {
        let attempt = options(config, events.clone()).connect(addresses.clone());
        let source = match timeout_at(deadline, attempt).await {
            Ok(Ok(client)) => {
                check_version(&client)?;
                return Ok((client, receiver));
            }
            // Other credentials are needed, which whoever calls has to bring.
            Ok(Err(source)) if source.kind() == ConnectErrorKind::AuthorizationViolation => {
                return Err(ConnectError::Refused { who: whoever(config), source });
            }
            Ok(Err(error)) => error.into(),
            // What an earlier attempt was told says more: a certificate that nobody vouches for, a refused connection.
            Err(elapsed) => before.take().unwrap_or_else(|| elapsed.into()),
        };
        if Instant::now() >= deadline {
            return Err(ConnectError::Unreachable { servers: config.servers.clone(), source });
        }
        before = Some(source);
        sleep(Duration::from_millis(100)).await;
    }
}

fn whoever(config: &Config) -> String {
    let user = config.credentials.as_ref().map(|(user, _)| format!("the user \"{user}\" with its password"));
    user.unwrap_or_else(|| "whoever shows no credentials".to_owned())
}

fn options(config: &Config, events: broadcast::Sender<()>) -> ConnectOptions {
    let mut options = ConnectOptions::new()
        .name(format!("mediaorigin {}", config.pod))
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECTION_TIMEOUT)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .reconnect_delay_callback(|attempts| Duration::from_millis(if attempts < 10 { 20 } else { 100 }))
        .event_callback(move |event| {
            tracing::debug!(%event, "NATS");
            if matches!(event, Event::Connected | Event::Disconnected) {
                // Nobody listens before the index is there.
                let _ = events.send(());
            }
            std::future::ready(())
        });
    if let Some((user, password)) = &config.credentials {
        options = options.user_and_password(user.clone(), password.clone());
    }
    if let Some(path) = &config.root_certificates {
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    options
}

/// Whether the server that is connected is new enough.
pub(crate) fn check_version(client: &Client) -> Result<(), ConnectError> {
    let info = client.server_info();
    if version(&info.version).is_some_and(|version| version >= VERSION_MIN) {
        return Ok(());
    }
    Err(ConnectError::Version { name: info.server_name, version: info.version })
}

/// `2.14.9` and `2.15.0-dev` are versions.
fn version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        let cases = [
            ("2.14.9", Some((2, 14))),
            ("2.15.0-dev", Some((2, 15))),
            ("v3.0.0", Some((3, 0))),
            ("2.9.10", Some((2, 9))),
            ("", None),
            ("new", None),
        ];
        for (text, expected) in cases {
            assert_eq!(version(text), expected, "{text}");
        }
        assert!((2, 9) < VERSION_MIN && (2, 14) >= VERSION_MIN && (10, 0) > VERSION_MIN);
    }
}
