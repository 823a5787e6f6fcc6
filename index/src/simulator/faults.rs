//! What goes wrong for a while.

use std::time::Duration;

use super::{Event, PODS, World};

impl World {
    pub(super) fn fault(&mut self) {
        self.servers.catch_up(&mut self.chance);
        if self.now > self.until {
            return;
        }
        let pod = self.chance.usize(..PODS);
        let time = Duration::from_millis(self.chance.u64(5..2_500));
        match self.chance.u8(..8) {
            0 | 1 => self.pods[pod].stopped_until = self.now + time / 4,
            2 => self.servers.elect(self.now + time),
            3 => self.pods[pod].away_until = self.now + time,
            4 => self.replace(pod),
            _ => {}
        }
        for pod in 0..PODS {
            if !self.is_away(pod) && self.chance.u8(..) < 40 {
                self.pods[pod].replica.connected();
            }
        }
        let rest = Duration::from_millis(self.chance.u64(5..150));
        self.after(rest, 0, Event::Fault);
    }

    /// `kill -9`, and another one in its place. Its clients do not know what became of what they asked for.
    fn replace(&mut self, pod: usize) {
        let end = self.moment();
        let jobs: Vec<u64> = self.pods[pod].jobs.keys().copied().collect();
        for number in jobs {
            let job = self.pods[pod].jobs.remove(&number).unwrap();
            if let Some(operation) = job.forgotten(end) {
                self.told.did.push((job.path, operation));
            }
            self.after(Duration::from_millis(1), pod, Event::Client(pod, job.client));
        }
        self.pods[pod] = self.start_pod();
        self.wakes[pod] = None;
    }
}
