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
    /// What is known of it beside its bytes; `None` where only pieces of it are held.
    pub about: Option<About>,
    /// Its bytes; `None` while it grows, and where only pieces of it are held.
    pub size: Option<u64>,
    /// Which of them is the first of the answer.
    pub first: u64,
}

/// What is known of a version beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its headers.
    pub meta: Meta,
    /// When it began, by the clock of the pod that it was sent to.
    pub started: Started,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<WireAbout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    first: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireAbout {
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    class: String,
    sequence: u64,
    modified_micros: u64,
}

impl Description {
    /// The header's value.
    pub fn encode(&self) -> String {
        let wire = Wire { about: self.about.clone().map(About::wire), size: self.size, first: self.first };
        // Strings and numbers always have a JSON form; an empty one would be refused when it is read.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads a value; `None` where it is none.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let Wire { about, size, first } = serde_json::from_slice(value).ok()?;
        Some(Self { about: about.map(WireAbout::read), size, first })
    }
}

impl About {
    fn wire(self) -> WireAbout {
        let Meta { content_type, content_encoding, cache_control, class } = self.meta;
        WireAbout {
            content_type,
            content_encoding,
            cache_control,
            class: class.as_str().to_owned(),
            sequence: self.started.sequence,
            modified_micros: times::micros(self.started.modified),
        }
    }
}

impl WireAbout {
    fn read(self) -> About {
        let class = Class::named(&self.class);
        About {
            meta: Meta {
                content_type: self.content_type,
                content_encoding: self.content_encoding,
                cache_control: self.cache_control,
                class: class.unwrap_or(Class::Other),
            },
            started: Started { sequence: self.sequence, modified: times::of_micros(self.modified_micros) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_is_said_is_what_is_understood() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_micros(1_765_432_100_123_456);
        let bare = About {
            meta: Meta {
                content_type: "video/mp2t; codecs=\"é\"".to_owned(),
                content_encoding: None,
                cache_control: None,
                class: Class::Part,
            },
            started: Started { sequence: u64::MAX, modified },
        };
        let meta = Meta {
            content_encoding: Some("gzip".to_owned()),
            cache_control: Some("max-age=1".to_owned()),
            ..bare.meta.clone()
        };
        let full = About { meta, ..bare.clone() };
        for (about, size) in [(None, None), (Some(bare), None), (Some(full), Some(9))] {
            let description = Description { about, size, first: 7 };
            let text = description.encode();
            assert_eq!(Description::decode(text.as_bytes()), Some(description), "{text}");
        }
    }

    #[test]
    fn a_newer_program_may_say_more() {
        let text = r#"{"about":{"contentType":"a/b","class":"new","sequence":1,"modifiedMicros":2},"first":0,"more":[1]}"#;
        let description = Description::decode(text.as_bytes()).unwrap();
        assert_eq!((description.about.unwrap().meta.class, description.size), (Class::Other, None));
        for text in ["", "{}", "[1]", "\u{0}"] {
            assert_eq!(Description::decode(text.as_bytes()), None, "{text}");
        }
    }
}
