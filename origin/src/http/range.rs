//! The `Range` header (RFC 9110 §14.1.2): read, cut to an object's length, merged.

/// Ranges of one request at most; with more the header is ignored, as RFC 9110 §14.2 advises against abuse.
pub const RANGES_MAX: usize = 16;

/// Bytes from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

/// One range as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `a-b`.
    Closed(Span),
    /// `a-`.
    From(u64),
    /// `-n`: the last n bytes.
    Last(u64),
}

impl Span {
    /// How many bytes.
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Spec {
    /// The bytes of an object of `length` bytes, if there are any.
    pub fn within(self, length: u64) -> Option<Span> {
        let last = length.checked_sub(1)?;
        match self {
            Self::Closed(span) if span.first <= last => {
                Some(Span { first: span.first, last: span.last.min(last) })
            }
            Self::From(first) if first <= last => Some(Span { first, last }),
            Self::Last(count) if count > 0 => Some(Span { first: length.saturating_sub(count), last }),
            _ => None,
        }
    }

    /// The bytes that it names without knowing the object's length.
    pub fn closed(self) -> Option<Span> {
        match self {
            Self::Closed(span) => Some(span),
            Self::From(_) | Self::Last(_) => None,
        }
    }
}

/// Reads a header; `None` where it must be ignored: another unit, or malformed.
pub fn parse(text: &str) -> Option<Vec<Spec>> {
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for item in set.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if specs.len() == RANGES_MAX {
            return None;
        }
        specs.push(spec(item)?);
    }
    (!specs.is_empty()).then_some(specs)
}

/// Orders ranges and joins those that overlap or touch.
pub fn merge(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(before) if span.first <= before.last.saturating_add(1) => {
                before.last = before.last.max(span.last);
            }
            _ => merged.push(span),
        }
    }
    merged
}

fn spec(item: &str) -> Option<Spec> {
    let (first, last) = item.split_once('-')?;
    match (first.trim_end(), last.trim_start()) {
        ("", last) => Some(Spec::Last(number(last)?)),
        (first, "") => Some(Spec::From(number(first)?)),
        (first, last) => {
            let span = Span { first: number(first)?, last: number(last)? };
            (span.first <= span.last).then_some(Spec::Closed(span))
        }
    }
}

/// Digits; what is larger than any object is as good as the largest number.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}
