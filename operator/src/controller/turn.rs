//! When this operator acts.

use tokio::sync::watch;

use super::Context;
use crate::election::seat::Seat;

/// Acts while the lease is ours, until it is told to stop; the lease is given up when nothing runs any more. Without a seat it is alone.
pub(super) async fn in_turn<F: Future<Output = ()>>(
    seat: Option<Seat>,
    context: &Context,
    mut stop: watch::Receiver<bool>,
    act: impl Fn() -> F,
) {
    let Some(mut seat) = seat else {
        context.metrics.leads(true);
        return act().await;
    };
    loop {
        context.health.set_standby(true);
        tokio::select! {
            () = seat.win() => {}
            () = stopped(&mut stop) => return,
        }
        tracing::info!("this operator acts from now on");
        context.health.set_standby(false);
        context.metrics.leads(true);
        // What still runs when the lease is lost is dropped: its calls may arrive, further ones are not made.
        let lost = tokio::select! {
            () = act() => None,
            why = seat.hold() => Some(why),
        };
        context.metrics.leads(false);
        let Some(why) = lost else { return seat.release().await };
        tracing::warn!(why, "the lease is lost, this operator waits for its turn");
    }
}

/// Waits until it is told to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can ask to stop any more, which is the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
