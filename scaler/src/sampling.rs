//! Which pods are asked. All of them up to [`ALL_MAX`]; of more as many as the mean needs to be within a twentieth of the truth with a
//! confidence of 95 % (Knative's rule), so that an origin of a hundred pods costs little more than one of twenty.

use jiff::Timestamp;

use crate::sample::Phase;

/// So many pods are all asked.
pub const ALL_MAX: usize = 64;
/// Squared 1.96 times a hundred, by the square of 5.
const POPULATION_FREE: f64 = 1.96 * 1.96 * 100.0 / 25.0;
/// A pod so young is asked last: it does not carry what the others do yet.
const YOUNG_SECONDS: i64 = 30;
/// The same pods are asked for so long, so that they have rates; then others are.
const TURN_SECONDS: i64 = 60;

/// How many of `pods` are asked.
pub fn size(pods: usize) -> usize {
    if pods <= ALL_MAX {
        return pods;
    }
    let pods_exact = pods as f64;
    let size = (pods_exact * POPULATION_FREE / (pods_exact + POPULATION_FREE - 1.0)).ceil();
    (1..pods).find(|count| *count as f64 >= size).unwrap_or(pods)
}

/// A pod that could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its uid.
    pub id: &'a str,
    /// Where it is in its life.
    pub phase: Phase,
    /// When it became ready.
    pub ready: Option<Timestamp>,
}

/// The places in `pods` of those that are asked now: none that does not serve yet.
pub fn chosen(pods: &[Candidate<'_>], now: Timestamp) -> Vec<usize> {
    let mut serving: Vec<usize> =
        (0..pods.len()).filter(|index| pods[*index].phase != Phase::Coming).collect();
    let size = size(serving.len());
    if size < serving.len() {
        let turn = now.as_second().div_euclid(TURN_SECONDS);
        serving.sort_by_cached_key(|index| {
            let pod = &pods[*index];
            let is_young = pod.ready.is_none_or(|ready| now.duration_since(ready).as_secs() < YOUNG_SECONDS);
            (is_young, shuffled(pod.id, turn))
        });
        serving.truncate(size);
        serving.sort_unstable();
    }
    serving
}

/// A number that says nothing of `id` (FNV-1a), another one each turn.
fn shuffled(id: &str, turn: i64) -> u64 {
    let bytes = turn.to_le_bytes().into_iter().chain(id.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
