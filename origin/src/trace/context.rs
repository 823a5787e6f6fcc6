//! W3C Trace Context: the header `traceparent`, version 00 and what is compatible with it.

use std::fmt;

use actix_web::http::header::HeaderName;

/// The header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A trace; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

/// A span; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub u64);

/// The span that a request was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub span: SpanId,
    /// Whether whoever made it records it.
    pub is_sampled: bool,
}

impl TraceId {
    /// A new one.
    pub fn random() -> Self {
        Self(fastrand::u128(1..))
    }
}

impl SpanId {
    /// A new one.
    pub fn random() -> Self {
        Self(fastrand::u64(1..))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl TraceParent {
    /// Reads the header; one that makes no sense is as good as none. A later version may have more fields behind these.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.trim().split('-');
        let [version, trace, span, flags] =
            [(); 4].map(|()| fields.next().filter(|field| field.bytes().all(is_lower_hex)));
        let (version, flags) = (hexadecimal(version?, 2)?, hexadecimal(flags?, 2)?);
        let is_known = version < 0xff && (version > 0 || fields.next().is_none());
        let trace = Some(hexadecimal(trace?, 32)?).filter(|trace| *trace != 0)?;
        let span = u64::try_from(hexadecimal(span?, 16)?).ok().filter(|span| *span != 0)?;
        let is_sampled = flags & 1 == 1;
        is_known.then_some(Self { trace: TraceId(trace), span: SpanId(span), is_sampled })
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn hexadecimal(text: &str, length: usize) -> Option<u128> {
    if text.len() == length { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_or_ignored() {
        let good = TraceParent {
            trace: TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
            span: SpanId(0xb7ad_6b71_6920_3331),
            is_sampled: true,
        };
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let not_sampled = TraceParent { is_sampled: false, ..good };
        assert_eq!(good.trace.to_string() + "-" + &good.span.to_string(), text[3..52]);
        for (text, expected) in [
            (text.to_owned(), Some(good)),
            (text.replace("-01", "-00"), Some(not_sampled)),
            // A later version may go on, in a way that is not known: its first four fields count.
            (text.replace("00-0", "cc-0") + "-what-comes", Some(good)),
            (text.replace("00-0", "cc-0"), Some(good)),
            (format!("{text}-00"), None),
            (text.replace("00-0", "ff-0"), None),
            (text.to_uppercase(), None),
            (text.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)), None),
            (text.replace("b7ad6b7169203331", &"0".repeat(16)), None),
            (text[..54].to_owned(), None),
            (String::new(), None),
            ("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(), None),
        ] {
            assert_eq!(TraceParent::parse(&text), expected, "{text}");
        }
    }
}
