//! The stream of a partition: made by whoever comes first, brought up to date by whoever knows more, and never made smaller.

use std::time::Duration;

use async_nats::Client;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::api::{ApiError, PATIENCE, ask};
use super::connect::ConnectError;
use crate::answer;
use crate::config::Config;
use crate::key::Layout;
use crate::replica::MARK;
use crate::wal::Names;

/// How long bodies stay in the write-ahead log: long before, they are in the object store, or nobody brings them there any more.
const WAL_AGE_MAX: Duration = Duration::from_mins(30);
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);
const NOT_FOUND: u32 = 10_059;
const IN_USE: u32 = 10_058;
const PAUSE: Duration = Duration::from_millis(250);
/// Room is made by people, so nobody is asked all the time.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(2);
/// There are not enough servers for it, or not enough that have room, which only the text says.
const NO_SERVERS: u32 = 10_005;
/// No server has enough left; the account may not have more.
const NO_ROOM: [u32; 3] = [10_023, 10_028, 10_047];

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What the stream must be.
fn wanted(layout: &Layout, config: &Config) -> Map<String, Value> {
    let mut wanted = json!({
        "name": layout.stream(),
        "subjects": [layout.all()],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": config.replicas,
        "max_msgs_per_subject": 1,
        "allow_direct": true,
        "republish": {"src": layout.all(), "dest": layout.republished()},
        "duplicate_window": nanoseconds(DUPLICATE_WINDOW),
        // Marks go by themselves.
        "allow_msg_ttl": true,
    });
    if config.partitions > 1 {
        wanted["metadata"] = json!({ PARTITIONS: config.partitions.to_string() });
    }
    if let Some(age) = config.age_max {
        wanted["max_age"] = nanoseconds(age).into();
        // Without the mark a pod never learns that something is gone.
        wanted["subject_delete_marker_ttl"] = nanoseconds(MARK).into();
        wanted["allow_rollup_hdrs"] = true.into();
        wanted["duplicate_window"] = nanoseconds(DUPLICATE_WINDOW.min(age)).into();
    }
    match wanted {
        Value::Object(wanted) => wanted,
        _ => Map::new(),
    }
}

/// How many partitions a stream is one of; absent where it is the only one.
const PARTITIONS: &str = "mediaorigin.partitions";

fn partitions(of: &Map<String, Value>) -> &str {
    let metadata = of.get("metadata").and_then(|metadata| metadata.get(PARTITIONS));
    metadata.and_then(Value::as_str).unwrap_or("1")
}

/// What cannot be changed under messages that are there; a stream that differs is somebody else's.
const FIXED: [&str; 5] = ["subjects", "retention", "storage", "discard", "max_msgs_per_subject"];

/// The configuration that `is` has to become, if it is not right. Copies, ages and windows only grow; whatever else somebody
/// set stays.
fn upgraded(
    is: &Map<String, Value>,
    wanted: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, String> {
    for name in FIXED {
        if is.get(name) != wanted.get(name) {
            let value = |of: &Map<String, Value>| of.get(name).map_or_else(String::new, Value::to_string);
            return Err(format!("its {name} is {}, not {}", value(is), value(wanted)));
        }
    }
    if partitions(is) != partitions(wanted) {
        return Err(format!(
            "the log was made with {} partitions, not {}",
            partitions(is),
            partitions(wanted)
        ));
    }
    let mut to = is.clone();
    // The servers add words of their own to the metadata.
    for (name, value) in wanted.iter().filter(|(name, _)| *name != "metadata") {
        let (old, new) = (is.get(name).and_then(Value::as_u64), value.as_u64());
        let is_enough = match (name.as_str(), old, new) {
            // 0 is for ever.
            ("max_age", Some(old), Some(new)) => old == 0 || old >= new,
            (_, Some(old), Some(new)) => old >= new,
            _ => is.get(name) == Some(value),
        };
        if !is_enough {
            to.insert(name.clone(), value.clone());
        }
    }
    Ok((to != *is).then_some(to))
}

/// Makes the stream as it must be; the answer is when it was created, which is its identity.
pub(crate) async fn ensure(
    client: &Client,
    layout: &Layout,
    config: &Config,
) -> Result<String, ConnectError> {
    make(client, layout.stream(), &wanted(layout, config), config.patience).await
}

/// What the stream of the write-ahead log must be: what does not fit is refused, so that nothing is lost that was acknowledged.
fn wanted_of_wal(names: &Names, config: &Config) -> Map<String, Value> {
    let wanted = json!({
        "name": names.stream(),
        "subjects": [names.all()],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": config.replicas,
        "max_msgs_per_subject": 1,
        "max_age": nanoseconds(WAL_AGE_MAX),
        "max_bytes": config.wal_bytes_max,
        "allow_direct": true,
    });
    match wanted {
        Value::Object(wanted) => wanted,
        _ => Map::new(),
    }
}

/// Makes the stream of the write-ahead log as it must be.
pub(crate) async fn ensure_wal(client: &Client, names: &Names, config: &Config) -> Result<(), ConnectError> {
    make(client, names.stream(), &wanted_of_wal(names, config), config.patience).await.map(|_| ())
}

async fn make(
    client: &Client,
    name: String,
    wanted: &Map<String, Value>,
    patience: Duration,
) -> Result<String, ConnectError> {
    let deadline = Instant::now() + patience;
    loop {
        let trouble = match once(client, &name, wanted).await {
            Ok(created) => return Ok(created),
            Err(Trouble::Final(reason)) => return Err(ConnectError::Stream { stream: name, reason }),
            Err(trouble) => trouble,
        };
        if Instant::now() >= deadline {
            return Err(match trouble {
                Trouble::NoRoom(reason) => ConnectError::NoRoom { stream: name, reason },
                Trouble::Passing(reason) | Trouble::Final(reason) => {
                    ConnectError::Stream { stream: name, reason }
                }
            });
        }
        sleep(if matches!(trouble, Trouble::NoRoom(_)) { NO_ROOM_PAUSE } else { PAUSE }).await;
    }
}

enum Trouble {
    Passing(String),
    /// Somebody may make room.
    NoRoom(String),
    Final(String),
}

async fn once(client: &Client, name: &str, wanted: &Map<String, Value>) -> Result<String, Trouble> {
    let info = match ask(client, &format!("STREAM.INFO.{name}"), &Value::Null, PATIENCE).await {
        Ok(info) => info,
        Err(ApiError::Refused(trouble)) if trouble.err_code == NOT_FOUND => {
            let create = format!("STREAM.CREATE.{name}");
            match ask(client, &create, &Value::Object(wanted.clone()), PATIENCE).await {
                Ok(info) => info,
                Err(ApiError::Refused(trouble)) if trouble.err_code == IN_USE => {
                    return Err(Trouble::Passing("somebody else is just making it".to_owned()));
                }
                Err(error) => return Err(of(error)),
            }
        }
        Err(error) => return Err(of(error)),
    };
    let is = info.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(to) = upgraded(&is, wanted).map_err(Trouble::Final)? {
        ask(client, &format!("STREAM.UPDATE.{name}"), &Value::Object(to), PATIENCE).await.map_err(of)?;
    }
    created(&info).ok_or_else(|| Trouble::Passing("the servers do not say when it was created".to_owned()))
}

fn of(error: ApiError) -> Trouble {
    match error {
        ApiError::Refused(trouble) if is_for_want_of_room(&trouble) => {
            Trouble::NoRoom(ApiError::Refused(trouble).to_string())
        }
        // 4xx is what is wrong with the request.
        ApiError::Refused(trouble) if (400..500).contains(&trouble.code) && trouble.code != 408 => {
            Trouble::Final(ApiError::Refused(trouble).to_string())
        }
        error => Trouble::Passing(error.to_string()),
    }
}

fn is_for_want_of_room(trouble: &answer::Trouble) -> bool {
    let is_storage = || trouble.description.contains("storage");
    NO_ROOM.contains(&trouble.err_code) || (trouble.err_code == NO_SERVERS && is_storage())
}

fn created(info: &Value) -> Option<String> {
    Some(info.get("created")?.as_str()?.to_owned())
}

/// When the stream was created; `None` if there is none.
pub(crate) async fn identity(
    client: &Client,
    layout: &Layout,
    patience: Duration,
) -> Result<Option<String>, ApiError> {
    let info = ask(client, &format!("STREAM.INFO.{}", layout.stream()), &Value::Null, patience).await;
    match info {
        Ok(info) => Ok(created(&info)),
        Err(ApiError::Refused(trouble)) if trouble.err_code == NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Scope;

    fn config() -> Config {
        Config::new(Vec::new(), Scope::new("live").unwrap(), "live-0", 1)
    }

    fn layout() -> Layout {
        Layout::new(Scope::new("live").unwrap(), 0)
    }

    fn aged(hours: u64) -> Map<String, Value> {
        wanted(&layout(), &Config { age_max: Some(Duration::from_hours(hours)), ..config() })
    }

    /// What the servers say of a stream that was made as wanted: they add their own defaults.
    fn made(wanted: &Map<String, Value>) -> Map<String, Value> {
        let mut is = wanted.clone();
        is.entry("max_age").or_insert(0.into());
        is.insert("max_bytes".to_owned(), (-1).into());
        is.insert("deny_delete".to_owned(), false.into());
        is
    }

    #[test]
    fn a_stream_is_what_the_checklist_says() {
        let expected = json!({
            "name": "MO_IDX_live_0",
            "subjects": ["mo.idx.live.0.>"],
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "num_replicas": 3,
            "max_msgs_per_subject": 1,
            "allow_direct": true,
            "republish": {"src": "mo.idx.live.0.>", "dest": "mo.idxr.live.0.>"},
            "duplicate_window": 120_000_000_000u64,
            "allow_msg_ttl": true,
        });
        assert_eq!(Value::Object(wanted(&layout(), &config())), expected);
        let aged = aged(6);
        assert_eq!(aged["max_age"], json!(21_600_000_000_000u64));
        assert_eq!(aged["allow_rollup_hdrs"], json!(true));
        assert_eq!(aged["subject_delete_marker_ttl"], json!(1_800_000_000_000u64));
    }

    #[test]
    fn the_write_ahead_log_refuses_what_does_not_fit() {
        let names = Names::new(Scope::new("live").unwrap());
        let wanted = |mebibytes: u64| {
            let wal_bytes_max = mebibytes << 20;
            wanted_of_wal(&names, &Config { wal_bytes_max, ..config() })
        };
        let expected = json!({
            "name": "MO_WAL_live",
            "subjects": ["mo.wal.live.>"],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "num_replicas": 3,
            "max_msgs_per_subject": 1,
            "max_age": 1_800_000_000_000u64,
            "max_bytes": 1_073_741_824u64,
            "allow_direct": true,
        });
        assert_eq!(Value::Object(wanted_of_wal(&names, &config())), expected);
        assert_eq!(upgraded(&wanted(4), &wanted(8)).unwrap().unwrap()["max_bytes"], json!(8 << 20));
        assert_eq!(upgraded(&wanted(8), &wanted(4)), Ok(None));
    }

    #[test]
    fn a_stream_that_is_right_is_left_alone() {
        for wanted in [wanted(&layout(), &config()), aged(6)] {
            assert_eq!(upgraded(&made(&wanted), &wanted), Ok(None));
        }
    }

    #[test]
    fn copies_and_ages_only_grow() {
        let plain = wanted(&layout(), &config());
        let mut one = plain.clone();
        one.insert("num_replicas".to_owned(), 1.into());
        assert_eq!(upgraded(&made(&one), &plain).unwrap().unwrap()["num_replicas"], json!(3));
        assert_eq!(upgraded(&made(&plain), &one), Ok(None));

        assert_eq!(upgraded(&made(&aged(6)), &aged(7)).unwrap().unwrap()["max_age"], aged(7)["max_age"]);
        assert_eq!(upgraded(&made(&aged(7)), &aged(6)), Ok(None));
        let with_marks = upgraded(&made(&plain), &aged(6)).unwrap().unwrap();
        assert_eq!(with_marks["max_age"], json!(0), "for ever is longer than six hours");
        assert_eq!(with_marks["max_bytes"], json!(-1), "what else was set stays");
    }

    #[test]
    fn a_log_keeps_its_partitions() {
        let of = |partitions: u16| wanted(&layout(), &Config { partitions, ..config() });
        let mut four = made(&of(4));
        four["metadata"]["_nats.ver"] = "2.14.0".into();
        assert_eq!(upgraded(&four, &of(4)), Ok(None));
        let error = |count: u16, is: u16| Err(format!("the log was made with {is} partitions, not {count}"));
        assert_eq!(upgraded(&four, &of(1)), error(1, 4));
        assert_eq!(upgraded(&four, &of(2)), error(2, 4));
        assert_eq!(upgraded(&made(&of(1)), &of(2)), error(2, 1));
    }

    #[test]
    fn what_would_lose_messages_is_not_done() {
        let plain = wanted(&layout(), &config());
        for (name, value, expected) in [
            ("max_msgs_per_subject", json!(5), "its max_msgs_per_subject is 5, not 1"),
            ("storage", json!("memory"), "its storage is \"memory\", not \"file\""),
            ("subjects", json!(["x"]), "its subjects is [\"x\"], not [\"mo.idx.live.0.>\"]"),
        ] {
            let mut is = made(&plain);
            is.insert(name.to_owned(), value);
            assert_eq!(upgraded(&is, &plain), Err(expected.to_owned()));
        }
    }
}
