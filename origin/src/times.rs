//! Times as people and programs write them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// RFC 3339 with milliseconds, in UTC: `2026-11-21T12:00:00.000Z`.
pub fn text(time: SystemTime) -> String {
    // The years that it cannot say are not ours.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Microseconds since 1970; before is 1970.
pub fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The time that [`micros`] made a number.
pub fn of_micros(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

/// A duration as people write it: numbers with `d`, `h`, `m` or `s`, the larger units first, each at most once: `1d12h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let units = [('d', 86_400_u64), ('h', 3_600), ('m', 60), ('s', 1)];
    let mut rest = text;
    let mut seconds = 0_u64;
    for (unit, length) in units {
        let Some((number, behind)) = rest.split_once(unit) else { continue };
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let part = is_number.then(|| number.parse::<u64>().ok()?.checked_mul(length)).flatten();
        let sum = part.and_then(|part| seconds.checked_add(part));
        seconds = sum.ok_or_else(|| no_duration(text))?;
        rest = behind;
    }
    if seconds > 0 && rest.is_empty() { Ok(Duration::from_secs(seconds)) } else { Err(no_duration(text)) }
}

fn no_duration(text: &str) -> String {
    format!("\"{text}\" is not a duration: write e.g. 90s, 15m, 12h, 7d or 1d12h")
}

/// A time as people and programs write it: RFC 3339, or seconds since 1970.
pub fn instant(text: &str) -> Result<SystemTime, String> {
    let wrong =
        || format!("\"{text}\" is not a time: write e.g. 2026-12-31T23:00:00Z, or seconds since 1970");
    let time = match text.parse::<u32>() {
        Ok(seconds) => Timestamp::from_second(i64::from(seconds)).ok(),
        Err(_) => text.parse::<Timestamp>().ok(),
    };
    time.map(SystemTime::from).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("1s", 1),
            ("90s", 90),
            ("15m", 900),
            ("1h", 3_600),
            ("7d", 604_800),
            ("1d12h", 129_600),
            ("1h0m1s", 3_601),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "1", "h", "0s", "-1h", "1m1h", "1h1h", "1.5h", "1 h", "1hx", "99999999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for text in ["1000000000", "2001-09-09T01:46:40Z", "2001-09-09T03:46:40+02:00"] {
            assert_eq!(instant(text), Ok(expected), "{text}");
        }
        for text in ["", "tomorrow", "2001-09-09", "-1"] {
            assert!(instant(text).is_err(), "{text}");
        }
    }
}
