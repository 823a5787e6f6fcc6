//! Scenario scripts: an origin's HTTP behaviour as text, played over real sockets against a real origin in this process.
//!
//! ```text
//! # A comment. The first lines say what the script is about.
//! proves RW-07 HT-03             protocol rows that the script proves
//! config                         a MediaOrigin's spec (YAML), up to `end`
//!   limits: {uploadIdleSeconds: 5}
//! end
//! secret username live           a file of the publishers' Secret (of several lines: `secret NAME`, lines, `end`); the spec must name one
//!
//! a: PUT /live/x.ts chunked      request on connection `a`; indented: headers, and `| text` for a body with a length
//!   Content-Type: video/mp2t
//! a> abc                         one chunk (or bytes, where the request has a length); `*9000` is 9000 times `x`
//! a> end                         the last chunk; `cut` ends the connection, `half-close` its sending side
//! a< 201                         answer; indented: headers (`*` matches anything), `!Name` for absent, `| text` for the whole body,
//!                                `~ text` for one with `*` in it
//! b< 200 ...                     answer whose body is read piece by piece
//! b< + abc                       the next bytes of the body are these; `b< end`, `b< cut`: how it ends
//! b< closed                      the connection ends without another byte
//! raw c "GET / HTTP/1.1\r\n"     bytes as they are; escapes \r \n \t \0 \\ \" \xNN
//! clock +61                      time passes, in seconds
//! restart                        the origin stops at once, another one starts on the same disk and bucket
//!                                (`{bucket}` in the configuration is the URL of a bucket of the script's own)
//! wait uploadsOpen 1             until a field of `/-/status` has this value: the barrier of scripts
//! ```

mod play;
mod script;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use script::{Script, Step};

/// Plays every script of a folder in the order of the names, so that the first failure is the most basic one.
/// All failures are reported together.
pub fn run(folder: &Path) -> Result<usize> {
    let paths = scripts(folder)?;
    let mut failures = Vec::new();
    for path in &paths {
        let text = std::fs::read_to_string(path)?;
        if let Err(error) = Script::parse(&text).and_then(|script| play::play(&script)) {
            failures.push(format!("{}: {error:#}", path.display()));
        }
    }
    if !failures.is_empty() {
        bail!("{} of {} scripts failed\n{}", failures.len(), paths.len(), failures.join("\n"));
    }
    Ok(paths.len())
}

/// The scripts of a folder in the order of their names.
pub(crate) fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("read {}", folder.display()))?
        .collect::<std::io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    Ok(paths)
}
