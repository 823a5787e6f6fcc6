//! Times as people and programs write them.

use std::time::SystemTime;

use jiff::Timestamp;

/// RFC 3339 with milliseconds, in UTC: `2026-11-21T12:00:00.000Z`.
pub fn text(time: SystemTime) -> String {
    // The years that it cannot say are not ours.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
