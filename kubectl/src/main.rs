//! `kubectl-mediaorigin`, which kubectl finds on the PATH as `kubectl mediaorigin`: see `args` for what it can do.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use mediaorigin_kubectl::args::Arguments;
use mediaorigin_kubectl::look::one_line;
use mediaorigin_kubectl::run::{Said, run};
use mediaorigin_kubectl::text::{coloured, harmless};

/// There is no answer.
const NO_ANSWER: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let said = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match said {
        Ok(Said { text, is_well }) => {
            let text = harmless(&text);
            let text = if wants_colour() { coloured(&text) } else { text };
            // Whoever has stopped reading wants no more.
            let _ = std::io::stdout().write_all(text.as_bytes());
            if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {}", harmless(&one_line(error.as_ref())));
            ExitCode::from(NO_ANSWER)
        }
    }
}

fn wants_colour() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal()
        && !is_set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
