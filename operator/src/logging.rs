//! Logs on standard error, as text for people or JSON for machines.

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Starts logging; `filter` is a level or a list of directives such as `info,kube=debug`.
pub fn start(format: LogFormat, filter: &str) -> Result<(), anyhow::Error> {
    // Without the spans of the controller runtime: our lines name the object themselves. A later directive wins.
    let filter = EnvFilter::try_new(format!("kube_runtime=warn,{filter}"))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
        LogFormat::Text => builder.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
