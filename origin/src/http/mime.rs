//! Media types by extension. Encoders send none, or `application/octet-stream` for everything.

/// Types by extension, lower case (DASH-IF ingest, HLS, and what lies beside media).
const TYPES: [(&str, &str); 40] = [
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    ("m4s", "video/iso.segment"),
    ("m4i", "video/mp4"),
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("cmfv", "video/mp4"),
    ("cmfa", "audio/mp4"),
    ("m4a", "audio/mp4"),
    ("cmft", "application/mp4"),
    ("cmfm", "application/mp4"),
    ("init", "video/mp4"),
    ("header", "video/mp4"),
    ("ts", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("aac", "audio/aac"),
    ("ac3", "audio/ac3"),
    ("ec3", "audio/eac3"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("vtt", "text/vtt"),
    ("webvtt", "text/vtt"),
    ("srt", "application/x-subrip"),
    ("ttml", "application/ttml+xml"),
    ("dfxp", "application/ttml+xml"),
    ("key", "application/octet-stream"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
];

/// For what nobody knows.
const UNKNOWN: &str = "application/octet-stream";

/// The type of answers for `path`, given the one that came with the upload. One that says nothing (octet-stream, or what
/// `curl --data` sends) loses against the extension.
pub fn content_type(path: &str, given: Option<&str>) -> String {
    let says_something = given.map(str::trim).filter(|given| {
        let essence = given.split(';').next().unwrap_or_default().trim();
        !["", UNKNOWN, "binary/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data"]
            .iter()
            .any(|nothing| essence.eq_ignore_ascii_case(nothing))
    });
    says_something.unwrap_or_else(|| by_extension(path)).to_owned()
}

fn by_extension(path: &str) -> &'static str {
    let file = path.rsplit('/').next().unwrap_or(path);
    // `Streams(video.cmfv)` is the old form of DASH-IF ingest.
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension.trim_end_matches(')'));
    let known = TYPES.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known));
    known.map_or(UNKNOWN, |(_, kind)| kind)
}
