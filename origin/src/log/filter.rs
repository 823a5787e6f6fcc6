//! Which lines are logged: chosen at the start, changed while the program runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::Directive;
use tracing_subscriber::{EnvFilter, reload};

/// Characters of a filter at most.
pub const LENGTH_MAX: usize = 1024;
/// Targets of ours, the only ones that may be traced: what libraries trace has headers in it, credentials too.
const OWN: [&str; 2] = ["mediaorigin", "access"];

/// The filter in force.
#[derive(Clone)]
pub struct Filter(Arc<Shared>);

struct Shared {
    text: Mutex<String>,
    swap: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

/// Why a filter is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is none.
    #[error(
        "not a filter: write a level (error, warn, info, debug) or target=level with commas between them: {0}"
    )]
    Malformed(String),
    /// It would log what nobody may see.
    #[error("{0}: trace is for mediaorigin and access only, libraries trace credentials")]
    Trace(String),
    /// The log is over.
    #[error("the log has ended")]
    Ended,
}

impl fmt::Debug for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Filter({:?})", self.text())
    }
}

impl Filter {
    /// The filter behind `handle`, which is `text` now.
    pub fn new<S: 'static>(handle: reload::Handle<EnvFilter, S>, text: &str) -> Self {
        let swap = Box::new(move |filter| handle.reload(filter));
        Self(Arc::new(Shared { text: Mutex::new(text.to_owned()), swap }))
    }

    /// The filter.
    pub fn text(&self) -> String {
        self.0.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another one; when this returns it is in force.
    pub fn set(&self, text: &str) -> Result<(), FilterError> {
        let text = text.trim();
        let filter = parse(text)?;
        // The text and the filter change together.
        let mut current = self.0.text.lock().unwrap_or_else(PoisonError::into_inner);
        (self.0.swap)(filter).map_err(|_| FilterError::Ended)?;
        text.clone_into(&mut current);
        Ok(())
    }
}

/// Reads a filter: levels, and `target=level`, with commas between them.
fn parse(text: &str) -> Result<EnvFilter, FilterError> {
    let malformed = |what: &str| FilterError::Malformed(what.to_owned());
    if text.is_empty() || text.len() > LENGTH_MAX {
        return Err(malformed("1 to 1024 characters"));
    }
    for item in text.split(',') {
        let (target, level) = item.split_once('=').unwrap_or(("", item));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
        let is_level = ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(level));
        if !target.bytes().all(plain) || !is_level || item.parse::<Directive>().is_err() {
            return Err(malformed(item));
        }
        let is_own = OWN.iter().any(|own| {
            target == *own
                || target.starts_with(&format!("{own}_"))
                || target.starts_with(&format!("{own}::"))
        });
        if level.eq_ignore_ascii_case("trace") && !is_own {
            return Err(FilterError::Trace(item.to_owned()));
        }
    }
    EnvFilter::try_new(text).map_err(|error| malformed(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_taken_or_refused_with_the_reason() {
        let (layer, handle) = reload::Layer::<_, tracing_subscriber::Registry>::new(EnvFilter::new("info"));
        let filter = Filter::new(handle, "info");
        for text in
            ["debug", "warn,mediaorigin_origin=trace", "info,access=off,actix_server=warn", " error\n"]
        {
            assert_eq!(filter.set(text), Ok(()), "{text}");
            assert_eq!(filter.text(), text.trim());
        }
        for text in ["", "loud", "info,", "a=b=c", "x[y]=info", "info;debug", &"a".repeat(1025)] {
            assert!(matches!(filter.set(text), Err(FilterError::Malformed(_))), "{text}");
        }
        for text in ["trace", "h2=trace", "mediaoriginal=trace", "info,actix_http=TRACE"] {
            assert!(matches!(filter.set(text), Err(FilterError::Trace(_))), "{text}");
        }
        assert_eq!(filter.text(), "error");
        drop(layer);
        assert_eq!(filter.set("info"), Err(FilterError::Ended));
    }
}
