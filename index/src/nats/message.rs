//! From messages of NATS to messages of the log, and back.

use std::sync::Arc;

use async_nats::{HeaderMap, Message as NatsMessage};
use bytes::Bytes;

use crate::entry::Entry;
use crate::follower::{Content, Message, Stamp, What};
use crate::key::{Key, Layout, Subject};

const SEQUENCE: &str = "Nats-Sequence";
const SUBJECT: &str = "Nats-Subject";
const TIME: &str = "Nats-Time-Stamp";
/// Why a message is a mark; the servers' own ones say `MaxAge`.
pub(crate) const MARKER: &str = "Nats-Marker-Reason";
const PENDING: &str = "Nats-Num-Pending";
const PREVIOUS: &str = "Nats-Last-Sequence";

/// One part of the answer to a fetch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A message, and the place of the one before it in the same answer.
    Message { previous: u64, message: Message },
    /// The end: the place of the last message, and how many more there are to be fetched.
    End { previous: u64, pending: u64 },
    /// The server could not.
    Failed,
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// A message of the log, published again or fetched; `None` if it is something else.
pub(crate) fn read(layout: &Layout, message: &NatsMessage) -> Option<Message> {
    let headers = message.headers.as_ref()?;
    let seq = number(headers, SEQUENCE)?;
    let time = moment(text(headers, TIME)?);
    let what = match layout.subject(text(headers, SUBJECT)?) {
        Subject::Entry(key) => What::Entry(key, content(key, headers, &message.payload)),
        Subject::Barrier => What::Barrier(stamp(&message.payload)),
        Subject::Other => What::Other,
    };
    Some(Message { seq, time, what })
}

/// A part of the answer to a fetch.
pub(crate) fn part(layout: &Layout, message: &NatsMessage) -> Part {
    match message.status.map(|status| status.as_u16()) {
        // Nothing at that place or behind it.
        Some(404) => return Part::End { previous: 0, pending: 0 },
        Some(204) => {
            let headers = message.headers.as_ref();
            let number = |name| headers.and_then(|headers| number(headers, name));
            return match (number(PREVIOUS), number(PENDING)) {
                (Some(previous), Some(pending)) => Part::End { previous, pending },
                _ => Part::Failed,
            };
        }
        Some(_) => return Part::Failed,
        None => {}
    }
    let previous = message.headers.as_ref().and_then(|headers| number(headers, PREVIOUS));
    match (previous, read(layout, message)) {
        (Some(previous), Some(message)) => Part::Message { previous, message },
        _ => Part::Failed,
    }
}

fn content(key: Key, headers: &HeaderMap, payload: &Bytes) -> Content {
    if text(headers, MARKER).is_some() {
        return Content::Expired;
    }
    let reason = match Entry::decode(payload) {
        Ok(entry) if Key::of(&entry.path) == key => return Content::Entry(Arc::new(entry)),
        Ok(entry) => format!("the entry of {} lies under another key", entry.path),
        Err(error) => error.to_string(),
    };
    Content::Unreadable { reason: reason.into(), rank: Entry::rank_of(payload) }
}

/// A time as one number. Only whether two are the same is asked of it, so its digits will do.
fn moment(text: &str) -> u64 {
    // `2026-11-21T23:58:16.8587532Z`: the servers leave zeros at the end away.
    let (whole, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((text, ""));
    let digits = whole.bytes().filter(u8::is_ascii_digit).map(|byte| u64::from(byte - b'0'));
    let fraction = fraction.bytes().chain(std::iter::repeat(b'0')).take(9).map(|byte| u64::from(byte & 0xf));
    digits.chain(fraction).fold(0u64, |all, digit| all.wrapping_mul(10).wrapping_add(digit))
}

/// The body of a barrier.
pub(crate) fn barrier(stamp: Stamp) -> Bytes {
    format!("{:016x}:{}", stamp.nonce, stamp.counter).into()
}

fn stamp(body: &[u8]) -> Option<Stamp> {
    let (nonce, counter) = std::str::from_utf8(body).ok()?.split_once(':')?;
    Some(Stamp { nonce: u64::from_str_radix(nonce, 16).ok()?, counter: counter.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use async_nats::StatusCode;

    use super::*;
    use crate::entry::{State, Uid};
    use crate::key::Scope;

    fn layout() -> Layout {
        Layout::new(Scope::new("live").unwrap(), 0)
    }

    fn message(headers: &[(&str, &str)], payload: Bytes, status: Option<u16>) -> NatsMessage {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        let status = status.map(|code| StatusCode::from_u16(code).unwrap());
        let headers = Some(map);
        NatsMessage {
            subject: "x".into(),
            reply: None,
            payload,
            headers,
            status,
            description: None,
            length: 0,
        }
    }

    fn entry(path: &str) -> Entry {
        Entry { path: path.into(), uid: Uid(1), stamp: 2, state: State::Tombstone }
    }

    const TIME_OF: (&str, &str) = (TIME, "2026-11-21T23:58:16.8587532Z");

    #[test]
    fn entries_marks_and_barriers_are_told_apart() {
        let subject = layout().entry(Key::of("a"));
        let read = |headers: &[(&str, &str)], payload: Bytes| {
            let all = [headers, &[(SEQUENCE, "7"), TIME_OF]].concat();
            read(&layout(), &message(&all, payload, None)).unwrap()
        };
        let bytes = Bytes::from(entry("a").encode().unwrap());
        let Message { seq, time, what } = read(&[(SUBJECT, &subject)], bytes.clone());
        assert_eq!((seq, time), (7, moment(TIME_OF.1)));
        assert_eq!(what, What::Entry(Key::of("a"), Content::Entry(Arc::new(entry("a")))));

        let mark = read(&[(SUBJECT, &subject), (MARKER, "MaxAge")], Bytes::new());
        assert_eq!(mark.what, What::Entry(Key::of("a"), Content::Expired));

        let stamp = Stamp { nonce: u64::MAX, counter: 12 };
        let barrier = read(&[(SUBJECT, &layout().barrier(3, 12))], barrier(stamp));
        assert_eq!(barrier.what, What::Barrier(Some(stamp)));
        let mark = read(&[(SUBJECT, &layout().barrier(3, 12)), (MARKER, "MaxAge")], Bytes::new());
        assert_eq!(mark.what, What::Barrier(None));
        assert_eq!(read(&[(SUBJECT, "mo.idx.live.0.new")], Bytes::new()).what, What::Other);
    }

    #[test]
    fn what_cannot_be_read_is_known_to_be_there() {
        let read = |subject: &str, payload: Vec<u8>| {
            let headers = [(SEQUENCE, "7"), TIME_OF, (SUBJECT, subject)];
            read(&layout(), &message(&headers, payload.into(), None)).unwrap().what
        };
        let rank = Some(entry("a").rank());
        let unreadable =
            |key: Key, text: &str| What::Entry(key, Content::Unreadable { reason: text.into(), rank });
        let mut newer = entry("a").encode().unwrap();
        newer[0] = 9;
        let (a, b) = (Key::of("a"), Key::of("b"));
        let text = "form 9 of an entry is newer than this program, which knows up to 1";
        assert_eq!(read(&layout().entry(a), newer), unreadable(a, text));
        let text = "the entry of a lies under another key";
        assert_eq!(read(&layout().entry(b), entry("a").encode().unwrap()), unreadable(b, text));
    }

    #[test]
    fn an_answer_to_a_fetch_is_read_to_its_end() {
        let part =
            |headers: &[(&str, &str)], status| part(&layout(), &message(headers, Bytes::new(), status));
        let end = [(PREVIOUS, "5"), (PENDING, "3")];
        assert_eq!(part(&end, Some(204)), Part::End { previous: 5, pending: 3 });
        assert_eq!(part(&[], Some(404)), Part::End { previous: 0, pending: 0 });
        for status in [Some(503), Some(408), Some(204), None] {
            assert_eq!(part(&[], status), Part::Failed, "{status:?}");
        }
        let subject = layout().barrier(0, 0);
        let headers = [(PREVIOUS, "5"), (SEQUENCE, "7"), TIME_OF, (SUBJECT, &subject)];
        let message = Message { seq: 7, time: moment(TIME_OF.1), what: What::Barrier(None) };
        assert_eq!(part(&headers, None), Part::Message { previous: 5, message });
    }

    #[test]
    fn times_that_differ_are_different_numbers() {
        let times = ["2026-11-21T23:58:16.8587532Z", "2026-11-21T23:58:16.85875321Z", "2026-11-21T23:58:16Z"];
        let numbers: std::collections::HashSet<u64> = times.iter().map(|time| moment(time)).collect();
        assert_eq!(numbers.len(), times.len());
        assert_eq!(moment("2026-11-21T23:58:16.5Z"), moment("2026-11-21T23:58:16.500000000Z"));
    }
}
