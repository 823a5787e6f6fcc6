//! What the scaler decided, and who else scales.

use std::time::Duration;

use anyhow::{Context, Result};
use mediaorigin_operator::scaling::facts::Told;
use mediaorigin_scaler::{Decision, Reason};

use super::World;

impl World {
    /// `NUMBER REASON WORDS`; or `nothing`, as after a restart of the operator.
    pub(super) fn decide(&mut self, text: &str) -> Result<()> {
        if text == "nothing" {
            self.told = None;
            return Ok(());
        }
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next().context("a number, a reason and words");
        let (replicas, reason) = (word()?.parse()?, word()?);
        let reason =
            Reason::ALL.into_iter().find(|each| each.as_str() == reason).context("no such reason")?;
        let decision = Decision {
            replicas,
            wanted: replicas,
            reason,
            binding: None,
            inputs: Vec::new(),
            lead: Duration::from_secs(4),
            floor: None,
            explanation: word()?.to_owned(),
            needed: None,
        };
        self.told = Some(Told { decision, learned: None });
        Ok(())
    }
}
