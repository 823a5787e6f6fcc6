//! The ways between pods and servers: late, lost, twice, and never.

use std::time::Duration;

use super::servers::{Subject, Wanted};
use super::{Event, PODS, World};
use crate::answer::Answer;
use crate::follower::{Stamp, What};
use crate::key::BARRIER_SUBJECTS;

impl World {
    /// How long a message takes to the servers: what is sent without a connection leaves when there is one again.
    pub(super) fn sending(&mut self, pod: usize) -> Duration {
        self.pods[pod].away_until.saturating_sub(self.now) + self.way()
    }

    pub(super) fn publish(&mut self, pod: usize, job: u64, attempt: u64, wanted: Wanted) {
        let answer = self.servers.store(wanted, self.now, &mut self.chance);
        self.spread(&answer);
        let way = self.way();
        if self.chance.u8(..) > 6 && !self.is_away(pod) {
            self.after(way, pod, Event::Answered(pod, job, attempt, answer));
        }
    }

    pub(super) fn barrier(&mut self, pod: usize, stamp: Stamp) {
        let subject = Subject::Barrier(stamp.nonce, stamp.counter % BARRIER_SUBJECTS);
        let wanted = Wanted { subject, id: None, expected: None, what: What::Barrier(Some(stamp)) };
        let answer = self.servers.store(wanted, self.now, &mut self.chance);
        self.spread(&answer);
        let way = self.way();
        if let Answer::Stored { seq, .. } = answer
            && self.chance.u8(..) > 6
            && !self.is_away(pod)
            && stamp.nonce == self.pods[pod].life
        {
            self.after(way, pod, Event::Acked(pod, stamp.counter, seq));
        }
    }

    /// Publishes again what was stored: to each pod in order, mostly.
    pub(super) fn spread(&mut self, answer: &Answer) {
        let Answer::Stored { seq, duplicate: false } = answer else { return };
        let message = self.servers.message(*seq).message.clone();
        let nobody = self.chance.u8(..) < 3;
        for pod in 0..PODS {
            let at = (self.now + self.way()).max(self.live_at[pod]);
            self.live_at[pod] = at;
            if nobody || self.is_away(pod) || self.chance.u8(..) < 8 {
                continue;
            }
            let session = self.pods[pod].replica.session();
            for _ in 0..=u8::from(self.chance.u8(..) < 8) {
                self.after(at.saturating_sub(self.now), pod, Event::Live(pod, session, message.clone()));
            }
        }
    }

    pub(super) fn fetch(&mut self, pod: usize, number: u64, from: u64) {
        let messages = self.servers.read(from, &mut self.chance);
        let (mut delay, mut previous) = (self.way(), 0);
        for message in messages {
            let (seq, is_lost) = (message.seq, self.chance.u16(..) < 200);
            if !is_lost {
                self.after(delay, pod, Event::Fetched(pod, number, previous, message));
            }
            delay += Duration::from_micros(self.chance.u64(0..300));
            previous = seq;
        }
        self.after(delay, pod, Event::FetchEnded(pod, number, previous));
    }
}
