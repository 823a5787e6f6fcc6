//! Files that a command line names.

use std::io::Read;
use std::path::Path;

use anyhow::Context;

/// The text of a file; of standard input for `-`.
pub fn read(file: &Path) -> Result<String, anyhow::Error> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
