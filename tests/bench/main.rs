//! `make bench`: prints one table per measurement, as ratios between servers measured in turns in the same run.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use mediaorigin_tests::bench::{self, Plan};

fn main() -> Result<()> {
    let mut origin = None;
    let mut rounds = 5;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--origin" => origin = Some(PathBuf::from(value()?)),
            "--rounds" => rounds = value()?.parse().context("--rounds")?,
            other => bail!("unknown argument {other}: bench --origin BINARY [--rounds N]"),
        }
    }
    let origin = origin.context("--origin BINARY is missing")?;
    println!("{}", bench::get_from_memory(&origin, &Plan { rounds, ..Plan::default() })?);
    println!("\n{}", bench::delays(&origin)?);
    Ok(())
}
