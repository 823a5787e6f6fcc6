//! `/-/load`: what a scaler asks every second, a few numbers without a search.

use std::fs;
use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};
use mediaorigin_crds::pod_load::PodLoad;

use crate::origin::Origin;

/// Ticks of the kernel's clock in a second, as programs see them: 100 on every machine that Linux runs on.
const TICKS: f64 = 100.0;

pub(super) async fn load(origin: web::Data<Origin>) -> HttpResponse {
    let shed = origin.metrics.shed_total();
    HttpResponse::Ok().json(PodLoad {
        egress_bytes: origin.connections.sent_bytes(),
        requests: origin.metrics.total.load(Ordering::Relaxed).saturating_sub(shed),
        shed,
        cpu_seconds: cpu_seconds(&fs::read_to_string("/proc/self/stat").unwrap_or_default()).unwrap_or(0.0),
        connections: origin.connections.open(),
        loop_lag_seconds: origin.connections.lag().as_secs_f64(),
    })
}

/// User and system time of a process, all its threads together, from its line in `/proc` (proc(5), fields 14 and 15).
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name, in which anything may be.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_anything_in_it_is_no_field() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1200 0 0 0 250 50 0 0 20 0 4 0 100 1000 20 1844 1 1\n";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn the_time_of_this_process_grows_with_what_it_does() {
        let read = || cpu_seconds(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        let before = read();
        while read() < before + 0.05 {}
    }
}
