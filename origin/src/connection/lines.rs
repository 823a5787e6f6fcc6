//! The header lines of a request, with a quick answer to the question that is asked most: whether there is a line of a name.

use actix_http::header::HeaderName;
use httparse::Header;

/// Header lines, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    pub(super) all: &'a [Header<'a>],
    /// A bit for each name that is there; two names may share one. Of the two dozen names that a read asks for nearly none is
    /// there.
    names: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(all: &'a [Header<'a>]) -> Self {
        Self { all, names: all.iter().fold(0, |names, line| names | bit(line.name)) }
    }

    /// The values of all lines of a header, in order.
    pub(super) fn values(self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let name = name.as_str();
        let all = if self.names & bit(name) == 0 { &[] } else { self.all };
        all.iter().filter(move |line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value)
    }

    /// Whether a list header names `token`; a line with anything but ASCII names nothing.
    pub(super) fn has_token(self, name: &HeaderName, token: &str) -> bool {
        let values = self.values(name).filter(|value| value.is_ascii());
        values
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Of the length and the last byte, without the bit that tells upper from lower case.
fn bit(name: &str) -> u64 {
    let last = name.as_bytes().last().map_or(0, |byte| usize::from(byte & 0x1f));
    1 << ((name.len() * 5 + last) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_in_any_case() {
        let names = ["Host", "RANGE", "if-range", "x-amz-date", "X-Amz-Date", "a", "Z", "x_1", "x-9"];
        let headers = names.map(|name| Header { name, value: name.as_bytes() });
        let lines = Lines::new(&headers);
        for name in names {
            let header = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
            let count = if name.eq_ignore_ascii_case("x-amz-date") { 2 } else { 1 };
            assert_eq!(lines.values(&header).count(), count, "{name}");
        }
        for name in ["date", "hose", "rangf", "if-match", "b"] {
            assert_eq!(lines.values(&HeaderName::from_static(name)).count(), 0, "{name}");
        }
    }
}
