//! What the servers answer to a message that they were asked to store.
//!
//! Only the number of an error is read. Its text names the last place of a subject, which an old leader that is cut off from
//! the others answers from an old state: nothing may be decided by it.

use serde::Deserialize;

/// An answer, by what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is stored at this place, now or by an attempt before.
    Stored {
        /// Its place.
        seq: u64,
        /// Whether an attempt before stored it.
        duplicate: bool,
    },
    /// Another message is the last one of the subject, or one of them is just being stored. This attempt stores nothing.
    Conflict,
    /// An attempt before, with the same id, is just being stored.
    InProcess,
    /// There is no leader to ask.
    NoLeader,
    /// Nothing was answered in time: it may be stored now, later, or never.
    TimedOut,
    /// There is no connection: it was not sent.
    NotSent,
    /// The servers cannot, for now; it may have been stored nevertheless.
    Unavailable(String),
    /// They never will. This attempt stores nothing.
    Refused(String),
}

const WRONG_LAST_SEQUENCE: u32 = 10_071;
const WRONG_LAST_SEQUENCE_CONSTANT: u32 = 10_164;
const DUPLICATE_IN_PROCESS: u32 = 10_158;
const STORE_FAILED: u32 = 10_077;
const INSUFFICIENT_RESOURCES: u32 = 10_023;
const STORAGE_EXCEEDED: u32 = 10_047;

#[derive(Deserialize)]
struct Body {
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
    error: Option<Trouble>,
}

/// An error as the servers write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Trouble {
    /// As in HTTP.
    #[serde(default)]
    pub code: u32,
    /// Which one it is.
    #[serde(default)]
    pub err_code: u32,
    /// For people.
    #[serde(default)]
    pub description: String,
}

impl Answer {
    /// Reads the body of an answer.
    pub fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Body>(body) {
            Ok(Body { error: Some(trouble), .. }) => Self::trouble(&trouble),
            Ok(Body { seq: Some(seq), duplicate, .. }) if seq > 0 => Self::Stored { seq, duplicate },
            Ok(_) => Self::Unavailable("an answer without a place".to_owned()),
            Err(error) => Self::Unavailable(format!("an answer that cannot be read: {error}")),
        }
    }

    /// Whether, and in which words, an answer says that there is no room: in the stream, or on the servers.
    pub fn full(body: &[u8]) -> Option<String> {
        let trouble = serde_json::from_slice::<Body>(body).ok()?.error?;
        // The number for a stream that is full is that of every message that cannot be stored.
        let is_full = match trouble.err_code {
            STORE_FAILED => trouble.description.starts_with("maximum "),
            code => [INSUFFICIENT_RESOURCES, STORAGE_EXCEEDED].contains(&code),
        };
        is_full.then_some(trouble.description)
    }

    fn trouble(trouble: &Trouble) -> Self {
        match trouble.err_code {
            WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_CONSTANT => Self::Conflict,
            DUPLICATE_IN_PROCESS => Self::InProcess,
            // 4xx is what is wrong with the message; all else may pass.
            code if (400..500).contains(&trouble.code) => {
                Self::Refused(format!("{} ({code})", trouble.description))
            }
            code => Self::Unavailable(format!("{} ({code})", trouble.description)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_known_by_their_numbers() {
        let error = |code: u32, err_code: u32, text: &str| {
            format!(
                r#"{{"error":{{"code":{code},"err_code":{err_code},"description":"{text}"}},"stream":"S","seq":0}}"#
            )
        };
        let cases = [
            (r#"{"stream":"S","seq":27}"#.to_owned(), Answer::Stored { seq: 27, duplicate: false }),
            (
                r#"{"stream":"S","seq":27,"duplicate":true}"#.to_owned(),
                Answer::Stored { seq: 27, duplicate: true },
            ),
            (error(400, 10_071, "wrong last sequence: 12"), Answer::Conflict),
            (error(400, 10_164, "wrong last sequence"), Answer::Conflict),
            (error(409, 10_158, "duplicate message id is in process"), Answer::InProcess),
            (error(400, 10_054, "too large"), Answer::Refused("too large (10054)".to_owned())),
            (error(503, 10_077, "maximum bytes"), Answer::Unavailable("maximum bytes (10077)".to_owned())),
            (r#"{"stream":"S"}"#.to_owned(), Answer::Unavailable("an answer without a place".to_owned())),
        ];
        for (body, expected) in cases {
            assert_eq!(Answer::read(body.as_bytes()), expected, "{body}");
        }
        let full = |code, text| Answer::full(error(503, code, text).as_bytes());
        assert_eq!(full(10_077, "maximum bytes exceeded").as_deref(), Some("maximum bytes exceeded"));
        assert_eq!(full(10_047, "no room").as_deref(), Some("no room"));
        assert_eq!((full(10_077, "disk failure"), Answer::full(br#"{"seq":1}"#)), (None, None));
        assert!(matches!(Answer::read(b"-ERR"), Answer::Unavailable(_)));
    }
}
