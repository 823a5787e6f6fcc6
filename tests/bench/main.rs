//! `make bench`: prints one table per measurement, as ratios between servers measured in turns in the same run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mediaorigin_tests::bench::{self, Plan, Programs};

fn main() -> Result<()> {
    let (mut origin, mut bare, mut before) = (None, None, None);
    let mut rounds = 9;
    let mut only = None;
    let mut mix_seconds = 600;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--origin" => origin = Some(PathBuf::from(value()?)),
            "--bare" => bare = Some(PathBuf::from(value()?)),
            "--before" => before = Some(PathBuf::from(value()?)),
            "--rounds" => rounds = value()?.parse().context("--rounds")?,
            "--mix-seconds" => mix_seconds = value()?.parse().context("--mix-seconds")?,
            "--only" => only = Some(value()?),
            other => bail!(
                "unknown argument {other}: bench --origin BINARY --bare BINARY [--before BINARY] [--rounds N] [--mix-seconds N] [--only get|put|memory|delay|storm|mix|builds]"
            ),
        }
    }
    let (origin, bare) =
        (origin.context("--origin BINARY is missing")?, bare.context("--bare BINARY is missing")?);
    let programs = Programs { origin: &origin, bare: &bare };
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    println!("Before: {}", bench::machine());
    if is_wanted("get") {
        println!("\n{}", bench::get_from_memory(programs, &Plan::get(rounds))?);
    }
    if is_wanted("put") {
        println!("\n{}", bench::put_into_memory(programs, &Plan::put(rounds))?);
    }
    if is_wanted("memory") {
        println!("\n{}", bench::memory(programs)?);
    }
    if is_wanted("delay") {
        println!("\n{}", bench::delays(programs)?);
    }
    if is_wanted("storm") {
        println!("\n{}", bench::storms(programs, rounds)?);
    }
    if is_wanted("mix") {
        println!("\n{}", bench::live_mix(programs, Duration::from_secs(mix_seconds))?);
    }
    if let Some(before) = before.filter(|_| is_wanted("builds")) {
        println!("\n{}", bench::builds(&before, programs, rounds)?);
    }
    println!("\nAfter: {}", bench::machine());
    Ok(())
}
