//! `mediaorigin-operator`: see `args` for what it can do.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use mediaorigin_operator::args::{Arguments, Command, PlanArgs, RunArgs, TrialArgs};
use mediaorigin_operator::plan::Settings;
use mediaorigin_operator::{cluster, controller, logging, offline, trial};

fn main() -> Result<ExitCode, anyhow::Error> {
    match Arguments::parse().command {
        Command::Run(args) => run(args),
        Command::Crd => {
            print!("{}", mediaorigin_crds::crd::yaml()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Plan(args) => plan(args),
        Command::Trial(args) => trial(args),
    }
}

fn run(args: RunArgs) -> Result<ExitCode, anyhow::Error> {
    logging::start(args.log_format, &args.log)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(controller::run(args))?;
    Ok(ExitCode::SUCCESS)
}

fn trial(args: TrialArgs) -> Result<ExitCode, anyhow::Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = cluster::client(true).await.context("cannot connect to Kubernetes")?;
        trial::run(client, args).await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn plan(args: PlanArgs) -> Result<ExitCode, anyhow::Error> {
    let PlanArgs { file, origin_image } = args;
    let text = read(&file)?;
    match offline::print(&Settings { origin_image, operator_namespace: None }, &text) {
        Ok(plans) => {
            print!("{plans}");
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            eprintln!("not accepted:");
            for problem in problems {
                eprintln!("  {problem}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn read(file: &Path) -> Result<String, anyhow::Error> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
