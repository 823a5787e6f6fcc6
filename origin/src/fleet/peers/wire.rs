//! What a pod says of a version beside its bytes: one header, as JSON. Fields may be added; a reader ignores those that it does not
//! know, because pods of two programs talk while one replaces the other.

use mediaorigin_crds::policy::Class;
use serde::{Deserialize, Serialize};

use crate::memory::object::{Meta, Started};
use crate::times;

/// The header.
pub const DESCRIPTION: &str = "x-mo-version";

/// What a pod says of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its headers.
    pub meta: Meta,
    /// When it began, by the clock of the pod that it was sent to.
    pub started: Started,
    /// Its bytes; `None` while it grows.
    pub size: Option<u64>,
    /// Which of them is the first of the answer.
    pub first: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    class: String,
    sequence: u64,
    modified_micros: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    first: u64,
}

impl Description {
    /// The header's value.
    pub fn encode(&self) -> String {
        let Meta { content_type, content_encoding, cache_control, class } = self.meta.clone();
        let wire = Wire {
            content_type,
            content_encoding,
            cache_control,
            class: class.as_str().to_owned(),
            sequence: self.started.sequence,
            modified_micros: times::micros(self.started.modified),
            size: self.size,
            first: self.first,
        };
        // Strings and numbers always have a JSON form; an empty one would be refused when it is read.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads a value; `None` where it is none.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(value).ok()?;
        let class = Class::ALL.into_iter().find(|class| class.as_str() == wire.class);
        Some(Self {
            meta: Meta {
                content_type: wire.content_type,
                content_encoding: wire.content_encoding,
                cache_control: wire.cache_control,
                class: class.unwrap_or(Class::Other),
            },
            started: Started { sequence: wire.sequence, modified: times::of_micros(wire.modified_micros) },
            size: wire.size,
            first: wire.first,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_is_said_is_what_is_understood() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_micros(1_765_432_100_123_456);
        let bare = Description {
            meta: Meta {
                content_type: "video/mp2t; codecs=\"é\"".to_owned(),
                content_encoding: None,
                cache_control: None,
                class: Class::Part,
            },
            started: Started { sequence: u64::MAX, modified },
            size: None,
            first: 7,
        };
        let meta = Meta {
            content_encoding: Some("gzip".to_owned()),
            cache_control: Some("max-age=1".to_owned()),
            ..bare.meta.clone()
        };
        let full = Description { meta, size: Some(9), ..bare.clone() };
        for description in [bare, full] {
            let text = description.encode();
            assert_eq!(Description::decode(text.as_bytes()), Some(description), "{text}");
        }
    }

    #[test]
    fn a_newer_program_may_say_more() {
        let text =
            r#"{"contentType":"a/b","class":"new","sequence":1,"modifiedMicros":2,"first":0,"more":[1]}"#;
        let description = Description::decode(text.as_bytes()).unwrap();
        assert_eq!((description.meta.class, description.size), (Class::Other, None));
        for text in ["", "{}", "[1]", "\u{0}"] {
            assert_eq!(Description::decode(text.as_bytes()), None, "{text}");
        }
    }
}
