//! Runs of one trace as a picture (SVG): what was needed and asked for, what served, and what was shed.

use std::fmt::Write;

use super::Run;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
/// Top and bottom of the two parts.
const PODS: (f64, f64) = (48.0, 300.0);
const SHED: (f64, f64) = (332.0, 412.0);
const HEIGHT: f64 = 440.0;
/// Points of a line at most: more than there are columns of pixels show nothing more.
const POINTS_MAX: usize = 880;
const COLOURS: [&str; 4] = ["#0b6e4f", "#c8553d", "#5b5fc7", "#8a6d1d"];

/// The picture.
pub fn svg(title: &str, runs: &[Run]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let seconds = first.seconds.len().max(2);
    let pods = runs.iter().flat_map(|run| &run.seconds).map(|second| second.asked.max(second.needed)).max();
    let pods_max = nice(f64::from(pods.unwrap_or(1).max(1)));
    let shed = runs.iter().flat_map(|run| &run.seconds).map(|second| second.shed * 100.0).fold(1.0, f64::max);
    let shed_max = nice(shed);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"15\">{}</text>\n",
        escape(title)
    );
    axes(&mut out, PODS, pods_max, "pods");
    axes(&mut out, SHED, shed_max, "shed, %");
    times(&mut out, seconds);
    let needed: Vec<f64> = first.seconds.iter().map(|second| second.demand).collect();
    line(&mut out, PODS, &needed, pods_max, "#999", "3 2");
    for (run, colour) in runs.iter().zip(COLOURS) {
        let of =
            |value: &dyn Fn(&super::Second) -> f64| -> Vec<f64> { run.seconds.iter().map(value).collect() };
        line(&mut out, PODS, &of(&|second| f64::from(second.asked)), pods_max, colour, "");
        line(&mut out, SHED, &of(&|second| second.shed * 100.0), shed_max, colour, "");
    }
    let ready: Vec<f64> = first.seconds.iter().map(|second| f64::from(second.ready)).collect();
    line(&mut out, PODS, &ready, pods_max, COLOURS[0], "1 3");
    legend(&mut out, runs);
    out.push_str("</svg>\n");
    out
}

/// 1, 2 or 5 times a power of ten, and not less than the value.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|nice| *nice >= value)
        .unwrap_or(value)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

// Writing to a String cannot fail: that is why what follows passes over its results.

fn axes(out: &mut String, (top, bottom): (f64, f64), max: f64, name: &str) {
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let y = bottom - (bottom - top) * share;
        let value = max * share;
        let decimals = usize::from(value.fract() > 0.0) * 2;
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.decimals$}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        );
    }
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"#555\">{name}</text>", top - 6.0);
}

fn times(out: &mut String, seconds: usize) {
    for part in 0..=6 {
        let share = f64::from(part) / 6.0;
        let x = LEFT + (WIDTH - LEFT - RIGHT) * share;
        let second = seconds as f64 * share;
        let text =
            if seconds > 7_200 { format!("{:.1} h", second / 3_600.0) } else { format!("{second:.0} s") };
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            HEIGHT - 8.0
        );
    }
}

fn line(out: &mut String, (top, bottom): (f64, f64), values: &[f64], max: f64, colour: &str, dashes: &str) {
    let step = values.len().div_ceil(POINTS_MAX).max(1);
    let mut path = String::new();
    for (number, chunk) in values.chunks(step).enumerate() {
        let value = chunk.iter().copied().fold(0.0, f64::max).min(max);
        let x = LEFT + (WIDTH - LEFT - RIGHT) * (number * step) as f64 / values.len().max(2) as f64;
        let y = bottom - (bottom - top) * value / max;
        let _ = match number {
            0 => write!(path, "M{x:.1} {y:.1}"),
            _ => write!(path, "H{x:.1}V{y:.1}"),
        };
    }
    let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    let _ =
        writeln!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dashes}/>");
}

fn legend(out: &mut String, runs: &[Run]) {
    let asked = runs.iter().zip(COLOURS).map(|(run, colour)| (format!("asked: {}", run.name), colour, ""));
    let rest = [
        (format!("serving: {}", runs.first().map_or("", |run| run.name)), COLOURS[0], "1 3"),
        ("needed".to_owned(), "#999", "3 2"),
    ];
    for (number, (name, colour, dashes)) in asked.chain(rest).enumerate() {
        let x = LEFT + 280.0 + 125.0 * number as f64;
        let dashes =
            if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        let _ = writeln!(
            out,
            "<path d=\"M{x:.0} 32h16\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/><text x=\"{:.0}\" y=\"36\" font-size=\"10\">{}</text>",
            x + 20.0,
            escape(&name)
        );
    }
}
