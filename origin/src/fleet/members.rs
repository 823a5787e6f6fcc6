//! Who else is there: pods say so every second, and who has been silent for long is gone, with what only its memory held.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// After so much silence a pod is gone; and for so long a new pod listens before it says that another one is, or takes itself for the first.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(10);
/// When this pod has not heard itself for so long, nothing can be said of others.
const DEAF_AFTER: Duration = Duration::from_secs(4);
/// Before this pod has listened for so long it does not say how many there are.
const COUNTS_AFTER: Duration = Duration::from_secs(3);
/// Pods that are remembered.
const REMEMBERED_MAX: usize = 1_024;
/// Longest address.
const ADDRESS_BYTES_MAX: usize = 256;

/// The pods of a fleet, as one of them hears them.
#[derive(Debug)]
pub(super) struct Members {
    own: String,
    /// Where this pod is, if that is known.
    zone: String,
    /// By address.
    others: HashMap<String, Other>,
    /// When this pod last heard itself, and since when without a longer pause.
    itself: Option<Instant>,
    listens_since: Instant,
    /// Pods that have gone, and that nobody has asked for yet.
    gone: usize,
}

#[derive(Debug)]
struct Other {
    /// When it was last heard.
    at: Instant,
    /// Whether it is about to go.
    is_leaving: bool,
    /// Whether it is in the zone of this pod.
    is_beside: bool,
}

impl Other {
    fn is_recent(&self, now: Instant) -> bool {
        now.duration_since(self.at) < GONE_AFTER
    }
}

impl Members {
    pub(super) fn new((own, zone): (String, String), now: Instant) -> Self {
        Self { own, zone, others: HashMap::new(), itself: None, listens_since: now, gone: 0 }
    }

    /// A pod in `zone` said something; whether it is one that was not there before.
    pub(super) fn hear(&mut self, (address, zone): (&str, &str), is_leaving: bool, now: Instant) -> bool {
        if address == self.own {
            if self.itself.is_none_or(|at| now.duration_since(at) > DEAF_AFTER) {
                self.listens_since = now;
            }
            self.itself = Some(now);
            return false;
        }
        let is_known = self.others.contains_key(address);
        if !is_known && (self.others.len() >= REMEMBERED_MAX || address.len() > ADDRESS_BYTES_MAX) {
            return false;
        }
        let is_beside = zone == self.zone;
        self.others.insert(address.to_owned(), Other { at: now, is_leaving, is_beside });
        !is_known
    }

    /// Forgets those that are gone; how many pods are there to stay, this one among them, once that can be said.
    pub(super) fn count(&mut self, now: Instant) -> Option<usize> {
        if !self.hears(now) || now.duration_since(self.listens_since) < COUNTS_AFTER {
            return None;
        }
        let (since, before) = (self.listens_since, self.others.len());
        self.others.retain(|_, other| now.duration_since(other.at.max(since)) < GONE_AFTER);
        self.gone += before - self.others.len();
        Some(self.others.values().filter(|other| !other.is_leaving).count() + 1)
    }

    /// Whether a pod is surely not there any more: this one has listened for long enough to have heard it.
    pub(super) fn is_gone(&self, address: &str, now: Instant) -> bool {
        let last = self.others.get(address).map_or(self.listens_since, |other| other.at);
        address != self.own
            && self.hears(now)
            && now.duration_since(last.max(self.listens_since)) >= GONE_AFTER
    }

    /// How many pods have gone since this was last asked.
    pub(super) fn take_gone(&mut self) -> usize {
        std::mem::take(&mut self.gone)
    }

    /// Whether a pod has been heard of late.
    pub(super) fn is_here(&self, address: &str, now: Instant) -> bool {
        address == self.own || self.others.get(address).is_some_and(|other| other.is_recent(now))
    }

    /// The other pods that have been heard of late, those that are about to go too.
    pub(super) fn others(&self, now: Instant) -> Vec<String> {
        let recent = self.others.iter().filter(|(_, other)| other.is_recent(now));
        recent.map(|(address, _)| address.clone()).collect()
    }

    /// The other pods of this zone on which readers may count.
    pub(super) fn beside(&self, now: Instant) -> impl Iterator<Item = &str> {
        let is_there = move |other: &Other| other.is_beside && !other.is_leaving && other.is_recent(now);
        self.others.iter().filter(move |(_, other)| is_there(other)).map(|(address, _)| address.as_str())
    }

    /// Whether this pod does what one of them has to do. A hint that needs no lease: two pods that do not hear each other may both be it,
    /// which is why nothing is done by it that must not be done twice.
    pub(super) fn is_first(&self, now: Instant) -> bool {
        let is_before = |(address, other): (&String, &Other)| *address < self.own && other.is_recent(now);
        self.hears(now)
            && now.duration_since(self.listens_since) >= GONE_AFTER
            && !self.others.iter().any(is_before)
    }

    fn hears(&self, now: Instant) -> bool {
        self.itself.is_some_and(|at| now.duration_since(at) < DEAF_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(own: &str) -> (String, String) {
        (own.to_owned(), String::new())
    }

    /// What is heard each second from second `from` to second `to`.
    fn listen(members: &mut Members, start: Instant, seconds: std::ops::Range<u64>, addresses: &[&str]) {
        for second in seconds {
            for address in addresses {
                members.hear((address, ""), false, start + Duration::from_secs(second));
            }
        }
    }

    #[test]
    fn who_was_silent_for_long_is_gone() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut members = Members::new(me("me"), start);
        listen(&mut members, start, 0..10, &["me", "a", "b"]);
        assert_eq!((members.count(at(9)), members.is_gone("a", at(9))), (Some(3), false));
        assert!(!members.is_gone("never-heard", at(9)), "it was not listened to for long enough");
        listen(&mut members, start, 10..30, &["me", "a"]);
        assert!(members.is_gone("b", at(29)) && members.is_gone("never-heard", at(29)));
        assert_eq!(members.count(at(29)), Some(2));
        assert!(!members.is_gone("a", at(29)) && !members.is_gone("me", at(29)));
        // One that comes is counted, one that is about to go is not, but may still be asked.
        members.hear(("b", ""), false, at(30));
        assert_eq!((members.count(at(30)), members.is_gone("b", at(30))), (Some(3), false));
        members.hear(("a", ""), true, at(30));
        assert_eq!((members.count(at(30)), members.is_gone("a", at(30))), (Some(2), false));
    }

    #[test]
    fn one_of_them_is_the_first() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut members = Members::new(me("b"), start);
        listen(&mut members, start, 0..20, &["a", "b", "c"]);
        assert!(!members.is_first(at(19)) && members.is_here("a", at(19)));
        listen(&mut members, start, 20..30, &["b", "c"]);
        assert!(members.is_first(at(29)) && !members.is_here("a", at(29)) && members.is_here("c", at(29)));
        members.count(at(29));
        assert_eq!((members.take_gone(), members.take_gone()), (1, 0));
        let mut new = Members::new(me("a"), start);
        listen(&mut new, start, 0..9, &["a", "b"]);
        assert!(!new.is_first(at(9)), "it has not listened for long enough");
    }

    #[test]
    fn beside_are_those_of_the_zone_that_stay() {
        let start = Instant::now();
        let mut members = Members::new(("me".to_owned(), "east".to_owned()), start);
        for (address, zone) in [("me", "east"), ("a", "east"), ("b", "west"), ("c", ""), ("d", "east")] {
            members.hear((address, zone), address == "d", start);
        }
        let beside = |members: &Members, now| members.beside(now).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(beside(&members, start), ["a"]);
        assert!(beside(&members, start + GONE_AFTER).is_empty());
        members.hear(("b", "east"), false, start + GONE_AFTER);
        assert_eq!(beside(&members, start + GONE_AFTER), ["b"]);
    }

    #[test]
    fn strangers_do_not_fill_the_table() {
        let now = Instant::now();
        let mut members = Members::new(me("me"), now);
        members.hear((&"x".repeat(ADDRESS_BYTES_MAX + 1), ""), false, now);
        assert!(members.others.is_empty());
        for number in 0..=REMEMBERED_MAX {
            members.hear((&number.to_string(), ""), false, now);
        }
        assert_eq!(members.others.len(), REMEMBERED_MAX);
    }

    #[test]
    fn who_hears_nothing_says_nothing_of_others() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut members = Members::new(me("me"), start);
        listen(&mut members, start, 0..20, &["me", "a"]);
        // Cut off from everybody, itself too.
        assert_eq!((members.count(at(60)), members.is_gone("a", at(60))), (None, false));
        // Back again, it gives others the time to be heard.
        listen(&mut members, start, 60..70, &["me"]);
        assert_eq!((members.count(at(69)), members.is_gone("a", at(69))), (Some(2), false));
        listen(&mut members, start, 70..76, &["me"]);
        assert!(members.is_gone("a", at(75)));
        assert_eq!(members.count(at(75)), Some(1));
    }
}
