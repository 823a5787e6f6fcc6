//! The number in a file name: what tells segments of one rendition apart.

/// A name with a number: `seg-00012.m4s` is `seg-` and 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// What stands before the number.
    pub prefix: &'a str,
    /// The number.
    pub number: u64,
    /// What stands behind it, with the dot.
    pub suffix: &'a str,
}

/// The number at the end of the name of the file under `path`, without its extension. `video_1080p.mp4` has none, and
/// neither has a time stamp of more than 18 digits.
pub fn numbered(path: &str) -> Option<Numbered<'_>> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let prefix = stem.trim_end_matches(|character: char| character.is_ascii_digit());
    let digits = &stem[prefix.len()..];
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    Some(Numbered { prefix, number: digits.parse().ok()?, suffix: &file[stem.len()..] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_at_the_end_of_the_name() {
        let cases = [
            ("live/a/seg-00012.m4s", Some(("seg-", 12, ".m4s"))),
            ("1.ts", Some(("", 1, ".ts"))),
            ("seg7", Some(("seg", 7, ""))),
            ("seg12.3.m4s", Some(("seg12.", 3, ".m4s"))),
            ("chunk-stream0-00001.m4s", Some(("chunk-stream0-", 1, ".m4s"))),
            ("t/1700000000123456.m4s", Some(("", 1_700_000_000_123_456, ".m4s"))),
            ("video_1080p.mp4", None),
            ("live7/index.m3u8", None),
            ("9999999999999999999.ts", None),
            ("", None),
        ];
        for (path, expected) in cases {
            let found = numbered(path).map(|found| (found.prefix, found.number, found.suffix));
            assert_eq!(found, expected, "{path}");
        }
    }
}
