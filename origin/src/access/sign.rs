//! Makes signed URLs, as `mediaorigin sign-url` prints them. What they allow is [`super::token`]'s to say.

use std::time::SystemTime;

use super::token::{self, GLOB_LENGTH_MAX, Token};
use crate::http::path::{ObjectPath, PathError};

/// Where the token of a signed URL stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// Parameter `token` of the query.
    Query,
    /// First folder of the path, which the relative addresses in a playlist keep.
    Path,
}

/// Why a URL cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// It is neither an HTTP address nor a path.
    #[error("\"{0}\" is neither http://… nor https://… nor a path that begins with a slash")]
    NoUrl(String),
    /// It names no object.
    #[error("\"{0}\" names no object: {1}")]
    Path(String, PathError),
    /// It has a token already.
    #[error("\"{0}\" has a token already: give the URL without it")]
    Signed(String),
    /// It would allow more than it names.
    #[error(
        "\"{0}\" has * or ?, which stand for other characters in a token: say with --path-prefix what may be read"
    )]
    Wildcard(String),
    /// The prefix cannot be one.
    #[error("--path-prefix \"{0}\": folders from the root on, without wildcards, e.g. live/a/")]
    Prefix(String),
    /// The prefix is of something else.
    #[error("--path-prefix \"{prefix}\" does not reach {path}, which the URL is about")]
    Elsewhere {
        /// The prefix.
        prefix: String,
        /// What the URL is about.
        path: String,
    },
    /// The token would be too long.
    #[error(
        "a token holds at most {GLOB_LENGTH_MAX} bytes of path, \"{0}\" has more: give a shorter --path-prefix"
    )]
    Long(String),
}

/// A URL taken apart: what is in front of its path, its path, and what follows.
struct Parts<'a> {
    base: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

/// `url` with a token that is good until `expires`: for what it names, or for everything below the folder `prefix`.
pub fn sign(
    url: &str,
    prefix: Option<&str>,
    place: Place,
    key: &[u8],
    expires: SystemTime,
) -> Result<String, SignError> {
    let Parts { base, path, query, fragment } = split(url)?;
    if token::of(path, query.unwrap_or_default()).is_some() {
        return Err(SignError::Signed(url.to_owned()));
    }
    let object = ObjectPath::parse(path).map_err(|error| SignError::Path(url.to_owned(), error))?;
    let glob = glob(object.as_str(), prefix)?;
    let token = Token::new(&glob, expires).ok_or_else(|| SignError::Long(glob.clone()))?;
    if !token.covers(object.as_str()) {
        let (prefix, path) = (prefix.unwrap_or_default().to_owned(), object.to_string());
        return Err(SignError::Elsewhere { prefix, path });
    }
    let text = token.sign(key);
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    Ok(match (place, query) {
        (Place::Path, None) => format!("{base}/{}{text}{path}{fragment}", token::PREFIX),
        (Place::Path, Some(query)) => format!("{base}/{}{text}{path}?{query}{fragment}", token::PREFIX),
        (Place::Query, None | Some("")) => format!("{base}{path}?token={text}{fragment}"),
        (Place::Query, Some(query)) => format!("{base}{path}?{query}&token={text}{fragment}"),
    })
}

fn split(url: &str) -> Result<Parts<'_>, SignError> {
    let no_url = || SignError::NoUrl(url.to_owned());
    if url.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(no_url());
    }
    let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, text)| (rest, Some(text)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, text)| (rest, Some(text)));
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| rest.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let host = scheme.map_or(0, str::len);
    let length = rest[host..].find('/').unwrap_or(rest.len() - host);
    let is_good = if scheme.is_some() { length > 0 } else { rest.starts_with('/') };
    let (base, path) = rest.split_at(host + length);
    let path = if path.is_empty() { "/" } else { path };
    if is_good { Ok(Parts { base, path, query, fragment }) } else { Err(no_url()) }
}

/// The paths of a token.
fn glob(object: &str, prefix: Option<&str>) -> Result<String, SignError> {
    let has_wildcard = |text: &str| text.contains(['*', '?']);
    let Some(given) = prefix else {
        let is_literal = !has_wildcard(object);
        return is_literal.then(|| object.to_owned()).ok_or_else(|| SignError::Wildcard(object.to_owned()));
    };
    let folder = given.trim_start_matches('/').trim_end_matches('/');
    let is_folder = |name: &str| !name.is_empty() && name != "." && name != "..";
    match folder {
        "" if given.is_empty() => Err(SignError::Prefix(given.to_owned())),
        "" => Ok("**".to_owned()),
        folder if has_wildcard(folder) || !folder.split('/').all(is_folder) => {
            Err(SignError::Prefix(given.to_owned()))
        }
        folder => Ok(format!("{folder}/**")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef";

    fn signed(url: &str, prefix: Option<&str>, place: Place) -> Result<String, String> {
        let expires = SystemTime::UNIX_EPOCH + Duration::from_mins(1);
        sign(url, prefix, place, KEY, expires).map_err(|error| error.to_string())
    }

    /// The URL with its token taken out, and whether the token is good for `path`.
    fn opened(url: &str, path: &str) -> (String, bool) {
        let start = url.find("MTo").unwrap();
        let end = url[start..].find(['/', '&', '#']).map_or(url.len(), |length| start + length);
        let token = token::Keys::new(vec![KEY.to_vec()]).open(&url[start..end], SystemTime::UNIX_EPOCH);
        (format!("{}T{}", &url[..start], &url[end..]), token.unwrap().covers(path))
    }

    #[test]
    fn the_token_stands_where_it_is_wanted_and_allows_what_was_said() {
        let cases = [
            ("http://a/live/x.ts", None, Place::Query, "http://a/live/x.ts?token=T", "live/x.ts", true),
            ("http://a/live/x.ts", None, Place::Query, "http://a/live/x.ts?token=T", "live/y.ts", false),
            ("/live/x.ts?a=b#c", None, Place::Query, "/live/x.ts?a=b&token=T#c", "live/x.ts", true),
            ("HTTPS://a:1/l/x?", None, Place::Query, "HTTPS://a:1/l/x?token=T", "l/x", true),
            ("https://a/l/x?q#f", Some("l"), Place::Path, "https://a/-t-T/l/x?q#f", "l/deep/y", true),
            ("/l/x", Some("/l/"), Place::Path, "/-t-T/l/x", "live/x", false),
            ("/l/x", Some("/"), Place::Path, "/-t-T/l/x", "live/x", true),
            ("/l/%41%20b", None, Place::Query, "/l/%41%20b?token=T", "l/A b", true),
            ("/l/%2Ax", Some("l"), Place::Query, "/l/%2Ax?token=T", "l/*x", true),
        ];
        for (url, prefix, place, expected, path, is_covered) in cases {
            let (without, covers) = opened(&signed(url, prefix, place).unwrap(), path);
            assert_eq!((without.as_str(), covers), (expected, is_covered), "{url} {prefix:?}");
        }
    }

    #[test]
    fn what_cannot_be_signed_is_refused_with_the_reason() {
        let long = format!("/{}", "a".repeat(300));
        let cases = [
            ("live/x.ts", None, "is neither"),
            ("ftp://a/x", None, "is neither"),
            ("http:///x", None, "is neither"),
            ("/a b", None, "is neither"),
            ("http://a", None, "names no object"),
            ("http://a/live/", None, "names a folder"),
            ("/live/../x", None, ".."),
            ("/live/x?token=abc", None, "has a token already"),
            ("/-t-abc/live/x", None, "has a token already"),
            ("/live/*.ts", None, "stand for other characters"),
            ("/live/%3F.ts", None, "stand for other characters"),
            ("/live/x", Some("live/*"), "without wildcards"),
            ("/live/x", Some("live//x"), "without wildcards"),
            ("/live/x", Some(""), "--path-prefix"),
            ("/live/x", Some("vod"), "does not reach live/x"),
            (&long, None, "at most 256"),
        ];
        for (url, prefix, part) in cases {
            let error = signed(url, prefix, Place::Query).unwrap_err();
            assert!(error.contains(part), "{url} {prefix:?}: {error}");
        }
    }
}
