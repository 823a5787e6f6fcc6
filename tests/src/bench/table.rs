//! Measurements → Markdown: medians, and the median of the ratios within each round.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Cost, Delays, Plan};

/// Delays in milliseconds.
pub(crate) fn render_delays(delays: &[Delays]) -> Result<String> {
    let mut text =
        "From writer to reader: a chunk of 75 KB of an object that is being written, in milliseconds\n\n"
            .to_owned();
    text.push_str("| readers | p50 | p99 |\n|---|---|---|");
    for Delays { readers, p50, p99 } in delays {
        let millis = |delay: &std::time::Duration| delay.as_secs_f64() * 1_000.0;
        write!(text, "\n| {readers} | {:.2} | {:.2} |", millis(p50), millis(p99))?;
    }
    Ok(text)
}

/// Row 0 is what the others are compared with.
pub(crate) fn render(names: &[&str], plan: &Plan, costs: &[Vec<Vec<Cost>>]) -> String {
    let mut text = format!(
        "GET from memory: CPU µs of the server per request, median of {} rounds (and ratio to {}, median of the rounds' ratios)\n\n|",
        plan.rounds, names[0]
    );
    text.push_str(" server |");
    for (size, _) in &plan.sizes {
        let _ = write!(text, " {} |", human(*size));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(plan.sizes.len()));
    for (row, name) in names.iter().enumerate() {
        let _ = write!(text, "\n| {name} |");
        for (own, first) in costs[row].iter().zip(&costs[0]) {
            let ratios = own.iter().zip(first).map(|(cost, base)| cost.0 / base.0).collect();
            let _ = write!(
                text,
                " {:.1} (×{:.2}) |",
                median(own.iter().map(|cost| cost.0).collect()),
                median(ratios)
            );
        }
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn human(size: usize) -> String {
    if size >= 1 << 20 { format!("{} MB", size >> 20) } else { format!("{} KB", size >> 10) }
}
