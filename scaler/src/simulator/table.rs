//! Runs as text.

use std::fmt::Write;

use super::Run;

/// A line for each run: what it cost and what was shed.
pub fn summary(runs: &[Run]) -> String {
    let mut table =
        String::from("who            pods asked for, by those needed   most  changes  turns  shed\n");
    for run in runs {
        let most = run.changes.iter().map(|(_, asked)| *asked).max().unwrap_or(0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:<14} {:>31.1} % {most:>6} {:>8} {:>6}  {:.3} %",
            run.name,
            run.cost() * 100.0,
            run.changes.len() - 1,
            run.turns(),
            run.shed() * 100.0
        );
    }
    table
}

/// A line for each second in which it was asked for another number of pods, with the reason.
pub fn changes(run: &Run) -> String {
    let mut table = String::from("second   asked  ready  shed     why\n");
    let mut before = run.changes.first().map(|(_, asked)| *asked);
    for (number, second) in run.seconds.iter().enumerate() {
        if before == Some(second.asked) {
            continue;
        }
        before = Some(second.asked);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:<8} {:>5} {:>6}  {:<8} {}",
            number + 1,
            second.asked,
            second.ready,
            format!("{:.1} %", second.shed * 100.0),
            second.explanation
        );
    }
    table
}
