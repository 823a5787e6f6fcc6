//! How often a manifest changes, read from its text without parsing the whole: it decides how long it may be cached.

use std::time::Duration;

/// Bytes at the beginning of a manifest that are looked at: headers stand there.
pub const HEAD_BYTES: u64 = 4 * 1024;
/// Bytes at the end of a playlist that are looked at: `EXT-X-ENDLIST` stands there.
pub const TAIL_BYTES: u64 = 256;

/// How often a manifest changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Nobody knows.
    #[default]
    Unknown,
    /// About this often: the target duration of a playlist, `minimumUpdatePeriod` of an MPD.
    Every(Duration),
    /// More often than HTTP can say: a playlist with partial segments.
    LowLatency,
    /// Hardly ever: it lists renditions.
    Multivariant,
    /// Not any more: the stream has ended, or is on demand.
    Ended,
}

/// The pace of a manifest with these first and last bytes.
pub fn pace(head: &[u8], tail: &[u8]) -> Pace {
    let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
    if head.trim_start_matches('\u{feff}').starts_with("#EXTM3U") {
        playlist(&head, &tail)
    } else if let Some((_, rest)) = head.split_once("<MPD") {
        presentation(rest.split_once('>').map_or(rest, |(attributes, _)| attributes))
    } else {
        Pace::Unknown
    }
}

fn playlist(head: &str, tail: &str) -> Pace {
    let value = |tag: &str| head.lines().find_map(|line| line.strip_prefix(tag));
    if value("#EXT-X-STREAM-INF:").is_some() {
        return Pace::Multivariant;
    }
    let ended = |text: &str| text.lines().any(|line| line.trim_end() == "#EXT-X-ENDLIST");
    if ended(head) || ended(tail) || value("#EXT-X-PLAYLIST-TYPE:").map(str::trim_end) == Some("VOD") {
        return Pace::Ended;
    }
    if value("#EXT-X-PART-INF:").is_some() {
        return Pace::LowLatency;
    }
    // RFC 8216 demands an integer; a fraction is read as what it means.
    let target = value("#EXT-X-TARGETDURATION:").and_then(|text| text.trim().parse::<f64>().ok());
    target.and_then(positive).map_or(Pace::Unknown, Pace::Every)
}

fn presentation(attributes: &str) -> Pace {
    if attribute(attributes, "type") != Some("dynamic") {
        return Pace::Ended;
    }
    let period = attribute(attributes, "minimumUpdatePeriod").and_then(duration);
    period.map_or(Pace::Unknown, Pace::Every)
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    attributes.match_indices(name).find_map(|(at, _)| {
        let starts = attributes[..at].ends_with(char::is_whitespace);
        let rest = attributes[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|quote| starts && ['"', '\''].contains(quote))?;
        rest[1..].split_once(quote).map(|(value, _)| value)
    })
}

/// An XML Schema duration of days and less: `PT1M30.5S`.
fn duration(text: &str) -> Option<Duration> {
    let (days, time) = text.trim().strip_prefix('P')?.split_once('T')?;
    let mut seconds = match days.strip_suffix('D') {
        Some(days) => days.parse::<f64>().ok()? * 86_400.0,
        None if days.is_empty() => 0.0,
        None => return None,
    };
    let mut rest = time;
    while let Some(at) = rest.find(|unit: char| unit.is_ascii_alphabetic()) {
        let unit = match rest.as_bytes().get(at)? {
            b'H' => 3_600.0,
            b'M' => 60.0,
            b'S' => 1.0,
            _ => return None,
        };
        seconds += rest[..at].parse::<f64>().ok()? * unit;
        rest = &rest[at + 1..];
    }
    positive(seconds)
}

fn positive(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playlists_and_presentations_tell_their_pace() {
        let every = |seconds: f64| Pace::Every(Duration::from_secs_f64(seconds));
        let cases = [
            ("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n", every(6.0)),
            ("#EXTM3U\r\n#EXT-X-TARGETDURATION:6\r\n", every(6.0)),
            ("\u{feff}#EXTM3U\n#EXT-X-TARGETDURATION:2\n", every(2.0)),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:0\n", Pace::Unknown),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:-1\n", Pace::Unknown),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:1e300\n", Pace::Unknown),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:x\n", Pace::Unknown),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=0.3\n", Pace::LowLatency),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n1.ts\n#EXT-X-ENDLIST\n", Pace::Ended),
            ("#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:4\n", Pace::Ended),
            ("#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-TARGETDURATION:4\n", every(4.0)),
            ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", Pace::Multivariant),
            ("#EXTM3U\n", Pace::Unknown),
            ("<?xml?><MPD type=\"dynamic\" minimumUpdatePeriod=\"PT4S\"><Period/>", every(4.0)),
            ("<MPD minimumUpdatePeriod = 'PT1M30.5S' type='dynamic'>", every(90.5)),
            ("<MPD type=\"dynamic\" minimumUpdatePeriod=\"P1DT2H\">", every(93_600.0)),
            ("<MPD type=\"dynamic\" minimumUpdatePeriod=\"PT0S\">", Pace::Unknown),
            ("<MPD type=\"dynamic\" minimumUpdatePeriod=\"soon\">", Pace::Unknown),
            ("<MPD type=\"dynamic\" xminimumUpdatePeriod=\"PT4S\">", Pace::Unknown),
            ("<MPD type=\"dynamic\">", Pace::Unknown),
            ("<MPD type=\"static\" minimumUpdatePeriod=\"PT4S\">", Pace::Ended),
            ("<MPD mediaPresentationDuration=\"PT4S\">", Pace::Ended),
            ("\u{1f}\u{8b}", Pace::Unknown),
            ("", Pace::Unknown),
        ];
        for (text, expected) in cases {
            assert_eq!(pace(text.as_bytes(), text.as_bytes()), expected, "{text}");
        }
    }
}
