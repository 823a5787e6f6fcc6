//! The older text format of Prometheus (version 0.0.4), made of OpenMetrics text: for scrapers that ask for nothing else.

use std::fmt::Write;

/// The same metrics in the older format: a counter's family has its sample's name, units and the end are not told.
pub(super) fn plain(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = kind_of(kind);
            if let Some((_, text)) = help.take().filter(|(helped, _)| *helped == name) {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "# HELP {name}{suffix} {text}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with("# ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// What follows the family's name, and the older word for its type.
fn kind_of(kind: &str) -> (&'static str, &str) {
    match kind {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "unknown" | "stateset" | "gaugehistogram" => ("", "untyped"),
        other => ("", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_their_samples_name_and_what_is_new_is_left_out() {
        let openmetrics = "# HELP a Things.\n# TYPE a counter\na_total{b=\"# c\"} 1\n# HELP s_bytes Size.\n# TYPE s_bytes gauge\n# UNIT s_bytes bytes\ns_bytes 2\n# HELP h Times.\n# TYPE h histogram\nh_sum 1.0\nh_count 1\nh_bucket{le=\"+Inf\"} 1\n# TYPE u unknown\nu 1\n# EOF\n";
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\na_total{b=\"# c\"} 1\n# HELP s_bytes Size.\n# TYPE s_bytes gauge\ns_bytes 2\n# HELP h Times.\n# TYPE h histogram\nh_sum 1.0\nh_count 1\nh_bucket{le=\"+Inf\"} 1\n# TYPE u untyped\nu 1\n";
        assert_eq!(plain(openmetrics), expected);
    }
}
