//! Chance that no other process has too.

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random numbers: {0}")]
pub struct NoChance(#[from] getrandom::Error);

/// A number that nobody else draws. It comes from the operating system: `fastrand` begins with the time since the machine
/// started and the number of the thread, which pods on two machines may have in common, and then draws the same ones for ever.
pub fn number() -> Result<u128, NoChance> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_ne_bytes(bytes))
}

/// A shorter one.
pub fn short_number() -> Result<u64, NoChance> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
