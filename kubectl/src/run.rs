//! What a command prints and its exit status: the calls in their order, and nothing decided here.

use std::fmt::Write;

use anyhow::anyhow;
use mediaorigin_crds::load;
use mediaorigin_operator::files;
use serde_json::json;

use crate::args::{
    Arguments, Command, Connection, ExplainArgs, PublisherArgs, StatusArgs, StreamsArgs, ValidateArgs,
};
use crate::asked::Asked;
use crate::explain::{Around, explain};
use crate::look::{Look, Seen};
use crate::status::{self, Summary};
use crate::{publisher, streams};

/// What a command has to say.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// For standard output.
    pub text: String,
    /// Whether all is well: otherwise the exit status is 1.
    pub is_well: bool,
}

/// Carries out a command. An error means that there is no answer.
pub async fn run(arguments: Arguments) -> Result<Said, anyhow::Error> {
    let Arguments { connection, command } = arguments;
    match command {
        Command::Status(args) => show_status(&connection, args).await,
        Command::Explain(args) => show_explanation(&connection, args).await,
        Command::Streams(args) => show_streams(&connection, args).await,
        Command::Publisher(args) => show_publisher(&connection, args).await,
        Command::Validate(args) => validate(&args),
    }
}

async fn show_status(connection: &Connection, args: StatusArgs) -> Result<Said, anyhow::Error> {
    let StatusArgs { name, all_namespaces, output } = args;
    let look = Look::connect(connection).await?;
    if let Some(name) = name {
        let Seen { observed, asked, .. } = find(&look, &name).await?;
        let summary = Summary::of(&observed, &asked);
        let text = match output {
            Some(_) => serde_json::to_string_pretty(&summary)? + "\n",
            None => summary.text(),
        };
        return Ok(Said { text, is_well: summary.healthy });
    }
    let origins = look.origins(all_namespaces).await?;
    let summaries: Vec<Summary> =
        origins.iter().map(|observed| Summary::of(observed, &Asked::new())).collect();
    let text = match output {
        Some(_) => serde_json::to_string_pretty(&json!({ "items": summaries }))? + "\n",
        None if summaries.is_empty() && all_namespaces => "there is no MediaOrigin\n".to_owned(),
        None if summaries.is_empty() => format!("there is no MediaOrigin in namespace {}\n", look.namespace),
        None => status::table(&summaries),
    };
    Ok(Said { text, is_well: summaries.iter().all(|summary| summary.healthy) })
}

async fn show_explanation(connection: &Connection, args: ExplainArgs) -> Result<Said, anyhow::Error> {
    let ExplainArgs { name, origin_image } = args;
    let look = Look::connect(connection).await?;
    let Seen { observed, asked, unseen } = find(&look, &name).await?;
    let around = Around {
        installation: look.installation(&observed.namespace).await,
        asked,
        unseen,
        events: look.events(&observed).await,
        origin_image,
    };
    Ok(Said { text: explain(&observed, &around), is_well: true })
}

async fn show_streams(connection: &Connection, args: StreamsArgs) -> Result<Said, anyhow::Error> {
    let StreamsArgs { name, output } = args;
    let look = Look::connect(connection).await?;
    let Seen { observed, .. } = find(&look, &name).await?;
    let reports = look.streams(&observed).await;
    let is_well = !reports.is_empty();
    if is_well && reports.values().all(Result::is_err) {
        let error = reports.values().find_map(|report| report.as_ref().err()).cloned().unwrap_or_default();
        return Err(anyhow!(error));
    }
    let text = match output {
        Some(_) => serde_json::to_string_pretty(&streams::json(&reports))? + "\n",
        None if is_well => streams::text(&reports),
        None => {
            format!("no pod of {}/{name} is ready: see kubectl mediaorigin status {name}\n", look.namespace)
        }
    };
    Ok(Said { text, is_well })
}

async fn show_publisher(connection: &Connection, args: PublisherArgs) -> Result<Said, anyhow::Error> {
    let PublisherArgs { name, show_secret } = args;
    let look = Look::connect(connection).await?;
    let Seen { observed, .. } = find(&look, &name).await?;
    let secret = match publisher::secret_name(&observed) {
        Some(name) => Some(look.secret(&observed.namespace, &name).await),
        None => None,
    };
    Ok(Said { text: publisher::text(&observed, secret.as_ref(), show_secret), is_well: true })
}

async fn find(look: &Look, name: &str) -> Result<Seen, anyhow::Error> {
    let found = look.origin(name).await?;
    found.ok_or_else(|| anyhow!("there is no MediaOrigin {}/{name}", look.namespace))
}

fn validate(args: &ValidateArgs) -> Result<Said, anyhow::Error> {
    let ValidateArgs { files } = args;
    let mut said = Said { text: String::new(), is_well: true };
    for file in files {
        let (lines, is_good) = match load::check(&files::read(file)?) {
            Ok(lines) => (lines, true),
            Err(lines) => (lines, false),
        };
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(said.text, "{}: {line}", file.display());
        }
        said.is_well &= is_good;
    }
    Ok(said)
}
