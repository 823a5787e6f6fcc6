//! What players tell about themselves (CTA-5004), in headers or in the query: counted, and never part of a key.

use actix_web::http::header::HeaderName;

use super::view::RequestView;

/// The headers that hold what is counted.
const HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("cmcd-request"), HeaderName::from_static("cmcd-status")];
const PARAMETER: &str = "CMCD=";
/// Characters of a query that are looked at.
const LENGTH_MAX: usize = 4 * 1024;

/// What one request tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cmcd {
    /// Whether it tells anything.
    pub is_there: bool,
    /// The player's buffer ran empty since its last request (`bs`).
    pub starved: bool,
    /// The player needs this to begin, or to begin again (`su`).
    pub startup: bool,
}

/// What a request tells.
pub fn read(head: &impl RequestView) -> Cmcd {
    let mut found = Cmcd::default();
    if let Some(query) = head.query() {
        let value = query.split('&').find_map(|parameter| parameter.strip_prefix(PARAMETER));
        if let Some(value) = value.filter(|value| value.len() <= LENGTH_MAX) {
            // Only the commas between keys matter, the values of strings are not looked at.
            found.add(&value.replace("%2C", ",").replace("%2c", ",").replace("%3D", "=").replace("%3d", "="));
        }
    }
    for header in &HEADERS {
        for line in head.lines(header) {
            found.add(&String::from_utf8_lossy(line));
        }
    }
    found
}

impl Cmcd {
    fn add(&mut self, text: &str) {
        self.is_there = true;
        for key in text.split(',').map(str::trim) {
            self.starved |= matches!(key, "bs" | "bs=true");
            self.startup |= matches!(key, "su" | "su=true");
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn players_tell_in_the_query_or_in_headers() {
        let told = |starved, startup| Cmcd { is_there: true, starved, startup };
        let cases = [
            ("/a.ts", None, Cmcd::default()),
            ("/a.ts?x=1&CMCDX=bs", None, Cmcd::default()),
            ("/a.ts?x=1&CMCD=bl%3D2000%2Cbs%2Csu", None, told(true, true)),
            ("/a.ts?CMCD=bs%3dfalse%2cnor%3D%22..%2Fbs%22", None, told(false, false)),
            ("/a.ts", Some(("cmcd-status", "rtp=1200, bs")), told(true, false)),
            ("/a.ts", Some(("CMCD-Request", "bl=2000,su")), told(false, true)),
        ];
        for (uri, header, expected) in cases {
            let mut request = TestRequest::default().uri(uri);
            if let Some(header) = header {
                request = request.insert_header(header);
            }
            assert_eq!(read(&request.to_http_request()), expected, "{uri} {header:?}");
        }
    }
}
