//! `mediaorigin-operator`: see `args` for what it can do.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use mediaorigin_crds::problem::Problem;
use mediaorigin_operator::args::{Arguments, Command, PlanArgs, RunArgs, SimulateArgs, TrialArgs};
use mediaorigin_operator::plan::Settings;
use mediaorigin_operator::{cluster, controller, files, logging, offline, simulate, trial};

fn main() -> Result<ExitCode, anyhow::Error> {
    match Arguments::parse().command {
        Command::Run(args) => run(*args),
        Command::Crd => {
            print!("{}", mediaorigin_crds::crd::yaml()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Plan(args) => plan(args),
        Command::Simulate(args) => simulate(&args),
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
    let PlanArgs { file, origin_image, nats } = args;
    let text = files::read(&file)?;
    let settings = Settings { origin_image, operator_namespace: None, nats: nats.chart() };
    match offline::print(&settings, &text) {
        Ok(plans) => {
            print!("{plans}");
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => Ok(refuse(&problems)),
    }
}

fn simulate(args: &SimulateArgs) -> Result<ExitCode, anyhow::Error> {
    let (text, trace) = (files::read(&args.file)?, files::read(&args.trace)?);
    match simulate::simulate(&text, &trace, &simulate::Options::from(args)) {
        Ok(simulated) => {
            if let Some(out) = &args.out {
                std::fs::write(out, simulated.picture)
                    .with_context(|| format!("cannot write {}", out.display()))?;
            }
            print!("{}", simulated.text);
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => Ok(refuse(&problems)),
    }
}

fn refuse(problems: &[Problem]) -> ExitCode {
    eprintln!("not accepted:");
    for problem in problems {
        eprintln!("  {problem}");
    }
    ExitCode::FAILURE
}
