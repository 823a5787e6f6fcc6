//! The time as a value: only the program's rim reads it, everything else is handed a [`Now`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// One reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the clock was made: it never goes back, so deadlines are kept in it.
    pub elapsed: Duration,
    /// The time of day, for headers.
    pub wall: SystemTime,
}

/// A source of [`Now`]: the system's, or one that a test moves.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: Instant },
    Manual { now: Arc<Mutex<Now>> },
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// A clock that stands still at `wall` until it is advanced.
    pub fn manual(wall: SystemTime) -> Self {
        Self(Source::Manual { now: Arc::new(Mutex::new(Now { elapsed: Duration::ZERO, wall })) })
    }

    /// The time.
    pub fn now(&self) -> Now {
        match &self.0 {
            Source::System { started } => Now { elapsed: started.elapsed(), wall: SystemTime::now() },
            Source::Manual { now } => *now.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a manual clock; the system's goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now } = &self.0 {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            now.elapsed += by;
            now.wall += by;
        }
    }
}
