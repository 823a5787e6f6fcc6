//! Measurements → Markdown: medians, and the median and quartiles of the ratios within each round.

use std::fmt::Write as _;

use super::{Cost, Delays, Held, Plan};

/// Delays in milliseconds.
pub(crate) fn render_delays(delays: &[Delays]) -> String {
    let mut text =
        "From writer to reader: a chunk of 75 KB of an object that is being written, in milliseconds\n\n"
            .to_owned();
    text.push_str("| readers | p50 | p99 |\n|---|---|---|");
    for Delays { readers, p50, p99 } in delays {
        let millis = |delay: &std::time::Duration| delay.as_secs_f64() * 1_000.0;
        let _ = write!(text, "\n| {readers} | {:.2} | {:.2} |", millis(p50), millis(p99));
    }
    text
}

/// Row 0 is what the others are compared with.
pub(crate) fn render(title: &str, names: &[&str], plan: &Plan, costs: &[Vec<Vec<Cost>>]) -> String {
    let mut text = format!(
        "{title}: median of {} rounds (×median of the rounds' ratios to {} [quartiles])\n\n| server |",
        plan.rounds, names[0]
    );
    for (size, _) in &plan.sizes {
        let _ = write!(text, " {} |", human(*size));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(plan.sizes.len()));
    for (row, name) in names.iter().enumerate() {
        let _ = write!(text, "\n| {name} |");
        for (own, first) in costs[row].iter().zip(&costs[0]) {
            let ratios = own.iter().zip(first).map(|(cost, base)| cost.0 / base.0).collect::<Vec<_>>();
            let _ = write!(
                text,
                " {:.1} (×{:.2} [{:.2}–{:.2}]) |",
                quantile(own.iter().map(|cost| cost.0).collect(), 2),
                quantile(ratios.clone(), 2),
                quantile(ratios.clone(), 1),
                quantile(ratios, 3)
            );
        }
    }
    text
}

/// Memory of connections.
pub(crate) fn render_held(rows: &[(&str, Held)]) -> String {
    let mut text =
        "Memory of one connection in KB\n\n| | process | kernel's send queue |\n|---|---|---|".to_owned();
    for (name, held) in rows {
        let _ = write!(text, "\n| {name} | {:.1} | {:.1} |", held.user / 1024.0, held.queued / 1024.0);
    }
    text
}

/// A quarter, a half or three quarters of the values are not above it.
fn quantile(mut values: Vec<f64>, quarters: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * quarters / 4).copied().unwrap_or(f64::NAN)
}

fn human(size: usize) -> String {
    if size >= 1 << 20 { format!("{} MB", size >> 20) } else { format!("{} KB", size >> 10) }
}
