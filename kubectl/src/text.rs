//! Text for people: columns, ages, and nothing that could command a terminal.

use jiff::Timestamp;
use mediaorigin_crds::units::Bytes;

/// Rows as columns, two spaces apart, each line behind `indent`. Further lines of a last cell stay in its column.
pub fn columns(indent: &str, rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| column + 1 < row.len()).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (column, cell) in row.iter().enumerate() {
            let begin = line.chars().count();
            let cell = cell.trim_end();
            if column + 1 == row.len() {
                line.push_str(&cell.replace('\n', &format!("\n{}", " ".repeat(begin))));
            } else {
                let pad = widths[column].saturating_sub(cell.chars().count()) + 2;
                line.push_str(cell);
                line.push_str(&" ".repeat(pad));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number of bytes for people: whole mebibytes from one on.
pub fn size(bytes: u64) -> String {
    if bytes < Bytes::MIB {
        format!("{} KiB", bytes.div_ceil(Bytes::KIB))
    } else {
        format!("{} MiB", bytes / Bytes::MIB)
    }
}

/// Further lines of `text` behind `indent`.
pub fn indented(text: &str, indent: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{indent}"))
}

/// How long ago, in the one or two units that matter: `45s`, `12m`, `3h20m`, `5d`.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if minutes < 2 => format!("{seconds}s"),
        () if hours < 2 => format!("{minutes}m"),
        () if hours < 10 && minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        () if days < 2 => format!("{hours}h"),
        () => format!("{days}d"),
    }
}

/// Without control characters: what others have written (paths, messages) must not command the reader's terminal. As JSON
/// escapes them, where the text is JSON.
pub fn harmless(text: &str) -> String {
    let is_harmful = |letter: char| letter.is_control() && letter != '\n';
    if !text.contains(is_harmful) {
        return text.to_owned();
    }
    text.chars()
        .map(
            |letter| {
                if is_harmful(letter) { format!("\\u{:04x}", u32::from(letter)) } else { letter.to_string() }
            },
        )
        .collect()
}

/// The state in the first line of a `status`, green or red: for a terminal only.
pub fn coloured(text: &str) -> String {
    let Some((first, rest)) = text.split_once('\n') else { return text.to_owned() };
    let Some((before, state)) =
        first.rsplit_once(": ").filter(|(before, _)| before.starts_with("MediaOrigin "))
    else {
        return text.to_owned();
    };
    let colour = if state == "ready" { 32 } else { 31 };
    format!("{before}: \u{1b}[1;{colour}m{state}\u{1b}[0m\n{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells_and_last_cells_keep_their_column() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["a", "bcd", "one\ntwo"]), row(["ä€", "", "three"]), vec!["alone".to_owned()]];
        assert_eq!(columns("  ", &rows), "  a   bcd  one\n           two\n  ä€       three\n  alone\n");
    }

    #[test]
    fn ages_have_the_units_that_matter() {
        let check = |seconds: i64, expected: &str| {
            let at = |seconds| Timestamp::from_second(seconds).unwrap();
            assert_eq!(age(at(1_000), at(1_000 + seconds)), expected);
        };
        for (seconds, expected) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (12_000, "3h20m"),
            (86_400, "24h"),
            (172_800, "2d"),
        ] {
            check(seconds, expected);
        }
    }

    #[test]
    fn no_text_of_others_commands_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\nc\u{9b}"), "a\\u001b[2Jb\\u000d\nc\\u009b");
        assert_eq!(harmless("ä → b"), "ä → b");
    }

    #[test]
    fn only_the_state_of_a_headline_is_coloured() {
        assert_eq!(
            coloured("MediaOrigin a/b: ready\nx: y\n"),
            "MediaOrigin a/b: \u{1b}[1;32mready\u{1b}[0m\nx: y\n"
        );
        assert!(coloured("MediaOrigin a/b: not ready\n").contains("[1;31mnot ready"));
        assert_eq!(coloured("NAME  READY: x\n1\n"), "NAME  READY: x\n1\n");
    }
}
