//! Which of two states of one manifest is the later one, told from their text: for uploads that overtook each other.
//!
//! ffmpeg's DASH muxer, for one, sends its last two manifests over two connections within a millisecond and without
//! waiting for an answer; a proxy or a busy worker may swap them. The dynamic manifest that arrives last would stay for
//! ever. So within [`OVERTAKING`] an earlier state of the same manifest does not replace a later one, and a later state
//! replaces an earlier one that began after it.

use std::time::Duration;

/// Uploads that begin further apart were sent in the order of their arrival. On a busy machine, or where a proxy waits for a connection,
/// a few hundred milliseconds are not rare; no encoder goes back to an earlier state of what it published a second ago.
pub const OVERTAKING: Duration = Duration::from_secs(1);
/// Manifests above this size are not looked into.
pub const BYTES_MAX: usize = 256 * 1024;

/// Whether `new` is surely an earlier state of what `old` is: not merely another one.
pub fn is_earlier_state(new: &[u8], old: &[u8]) -> bool {
    match (std::str::from_utf8(new), std::str::from_utf8(old)) {
        (Ok(new), Ok(old)) if new.starts_with("#EXTM3U") && old.starts_with("#EXTM3U") => {
            playlist_is_earlier(&Playlist::read(new), &Playlist::read(old))
        }
        (Ok(new), Ok(old)) => match (Presentation::read(new), Presentation::read(old)) {
            (Some(new), Some(old)) => presentation_is_earlier(&new, &old),
            _ => false,
        },
        _ => false,
    }
}

/// What a media playlist (RFC 8216) says about its progress.
struct Playlist<'a> {
    first: u64,
    segments: Vec<&'a str>,
    is_ended: bool,
}

impl<'a> Playlist<'a> {
    fn read(text: &'a str) -> Self {
        let tag = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        Self {
            first: tag("#EXT-X-MEDIA-SEQUENCE:").and_then(|number| number.trim().parse().ok()).unwrap_or(0),
            segments: text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect(),
            is_ended: tag("#EXT-X-ENDLIST").is_some(),
        }
    }

    /// The sequence number behind the last segment.
    fn end(&self) -> u64 {
        self.first.saturating_add(self.segments.len() as u64)
    }
}

fn playlist_is_earlier(new: &Playlist<'_>, old: &Playlist<'_>) -> bool {
    let is_same_stream = new.segments.last().is_some_and(|last| old.segments.contains(last));
    let is_behind = new.end() < old.end() || (new.end() == old.end() && old.is_ended && !new.is_ended);
    is_same_stream && is_behind && new.first <= old.first && (old.is_ended || !new.is_ended)
}

/// What an MPD (ISO/IEC 23009-1) says about its progress, in its root element.
struct Presentation<'a> {
    start: Option<&'a str>,
    published: Option<&'a str>,
    is_static: bool,
}

impl<'a> Presentation<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (_, root) = text.split_once("<MPD")?;
        let (root, _) = root.split_once('>')?;
        let attribute = |name: &str| {
            // Attributes may stand on lines of their own.
            let mut at = root.match_indices(name);
            let behind = at.find_map(|(index, _)| {
                let is_whole = root[..index].ends_with(char::is_whitespace);
                root[index..].strip_prefix(name)?.strip_prefix("=\"").filter(|_| is_whole)
            })?;
            behind.split_once('"').map(|(value, _)| value)
        };
        Some(Self {
            start: attribute("availabilityStartTime"),
            published: attribute("publishTime"),
            is_static: attribute("type") == Some("static"),
        })
    }
}

fn presentation_is_earlier(new: &Presentation<'_>, old: &Presentation<'_>) -> bool {
    // A static MPD may lose both times of the live one, as ffmpeg's does.
    let is_same = new.start == old.start || old.is_static && old.start.is_none();
    let is_over = old.is_static && !new.is_static;
    let is_behind = match (new.published, old.published) {
        // Times of one format are ordered as texts are.
        (Some(new), Some(old)) => new.len() == old.len() && (new < old || (new == old && is_over)),
        _ => is_over,
    };
    is_same && is_behind && (old.is_static || !new.is_static)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hls(first: u64, count: u64, is_ended: bool) -> String {
        let segments: Vec<_> =
            (first..first + count).map(|number| format!("#EXTINF:2,\ns{number}.ts\n")).collect();
        let segments = segments.concat();
        let end = if is_ended { "#EXT-X-ENDLIST\n" } else { "" };
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{segments}{end}")
    }

    fn mpd(kind: &str, published: &str) -> String {
        let times = format!("publishTime=\"{published}\"\n\tavailabilityStartTime=\"2026-01-01T00:00:00Z\"");
        format!("<?xml version=\"1.0\"?>\n<MPD xmlns:xsi=\"x\"\n\ttype=\"{kind}\"\n\t{times}>\n</MPD>")
    }

    #[test]
    fn only_an_earlier_state_of_the_same_playlist_is_earlier() {
        for (new, old, is_earlier) in [
            (hls(0, 3, false), hls(0, 4, false), true),
            (hls(0, 4, false), hls(0, 4, true), true),
            (hls(1, 5, false), hls(2, 5, true), true),
            // The same or a later state.
            (hls(0, 4, false), hls(0, 4, false), false),
            (hls(0, 5, false), hls(0, 4, false), false),
            (hls(0, 4, true), hls(0, 4, false), false),
            (hls(2, 5, false), hls(1, 5, false), false),
            // Something else: an encoder that began anew, a shortened edit that is ended.
            (hls(0, 2, false), hls(700, 5, false), false),
            (hls(0, 3, true), hls(0, 4, false), false),
            (hls(0, 0, false), hls(0, 4, false), false),
        ] {
            assert_eq!(
                is_earlier_state(new.as_bytes(), old.as_bytes()),
                is_earlier,
                "new:\n{new}\nold:\n{old}"
            );
        }
    }

    #[test]
    fn only_an_earlier_state_of_the_same_presentation_is_earlier() {
        let (one, two) = ("2026-01-01T00:00:01.000Z", "2026-01-01T00:00:02.000Z");
        // ffmpeg's last one has neither of the times.
        let ended = "<MPD type=\"static\" mediaPresentationDuration=\"PT7.0S\"></MPD>".to_owned();
        for (new, old, is_earlier) in [
            (mpd("dynamic", one), mpd("dynamic", two), true),
            (mpd("dynamic", one), mpd("static", one), true),
            (mpd("static", one), mpd("dynamic", one), false),
            (mpd("dynamic", two), mpd("static", one), false),
            (mpd("dynamic", one), mpd("dynamic", one), false),
            (mpd("dynamic", one), mpd("dynamic", two).replace("T00:00:00Z", "T11:00:00Z"), false),
            (mpd("dynamic", one), ended.clone(), true),
            (ended.clone(), mpd("dynamic", one), false),
            (ended.clone(), ended.clone(), false),
        ] {
            assert_eq!(is_earlier_state(new.as_bytes(), old.as_bytes()), is_earlier, "{new}\n{old}");
        }
        assert!(!is_earlier_state(b"<MPD>", b"#EXTM3U\n") && !is_earlier_state(b"\xff", b"\xff"));
    }
}
