//! Scenario scripts for the operator's planner: a simulated cluster, a `MediaOrigin`, and what is planned and reported, as text.
//!
//! ```text
//! # A comment. The first lines say what the script is about.
//! origin                               the MediaOrigin (YAML), up to `end`
//!   metadata: {name: live}
//! end
//! reconcile                            observe → plan → apply → status; prints plan, conditions, events and what kstatus makes of it
//! > accepted                           golden output; `UPDATE=1` rewrites it. Of the conditions only those that changed are printed
//! serving                              the way from the MediaOrigin to pods live-1 … that serve, without output
//! edit                                 a merge patch of the MediaOrigin (YAML), up to `end`
//! drift Service                        a merge patch of a child by somebody else (YAML), up to `end`
//! foreign ConfigMap                    an object of somebody else with a child's name (YAML, metadata), up to `end`
//! remove ConfigMap                     somebody deletes a child
//! refuse Service some words            the API server refuses this child at the next reconcile
//! rollout                              the Deployment's controller makes and removes pods: live-1, live-2, …
//! forbid some words                    the same, but it may not create pods
//! late                                 the Deployment's controller says that the rollout does not move on
//! pod live-1 ready                     what becomes of a pod: ready | starting | gone | unschedulable WORDS | creating |
//!                                      waiting REASON WORDS | crashed EXIT-CODE REASON WORDS
//! volume bound 20Gi                    what becomes of the volume of the disk: bound SIZE | lost | error WORDS (about its growth)
//! says live-1 DiskFull some words      what a pod that serves says from now on: well | a reason of Healthy and words | refuses WORDS or
//!                                      deaf WORDS (what becomes of configurations that are handed to it) | streams 3 | nothing
//!                                      full | evicted (whether it still uses more memory than a smaller limit)
//! kubelet live-1 resizes               what becomes of a resize: resizes | defers WORDS | rules-out WORDS | fails WORDS | refused WORDS
//!                                      (by the API server, at the next reconcile)
//! unknown HTTPRoute                    the cluster does not have this kind; `known HTTPRoute`: now it has
//! nats 7                               which version of the credentials of the chart's NATS there is; or: nats unseen
//! decide 5 Demand some words           what the scaler decided: pods, a reason of ScalingActive and its message; or: decide nothing
//! rivals web                           autoscalers that name the Deployment
//! route True Accepted                  what a gateway says of the route
//! clock +20                            time passes, in seconds
//! delete                               somebody asks to delete the MediaOrigin
//! show Deployment /spec/replicas       prints a part of a child
//! kstatus                              prints what kstatus makes of the MediaOrigin now
//! write live-1                         a merge patch of a pod (YAML), up to `end`
//!
//! explain | status | list | publisher  prints what `kubectl mediaorigin` would
//! answers live-1                       what a pod answers at /-/status (YAML), up to `end`
//! unseen Secret-admin some words       a child may not be read
//! silent live-1 some words             why a pod cannot be asked
//! event Normal Pulled Pod live-1 words an event, now
//! operator down                        or: operator gone WORDS
//! secret                               the publishers' Secret (YAML), up to `end`; or: secret missing, secret unseen WORDS
//! ```
//!
//! Every script ends with a plan that has nothing to do and a status that is not written again; the runner adds that.

mod kstatus;
pub mod merge;
mod plugin;
mod world;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::scenario::scripts;
use world::World;

/// Plays every script of a folder in the order of the names. All failures are reported together. With `UPDATE=1` in the
/// environment the golden output is rewritten instead.
pub fn run(folder: &Path) -> Result<usize> {
    let paths = scripts(folder)?;
    let update = std::env::var_os("UPDATE").is_some();
    let mut failures = Vec::new();
    for path in &paths {
        if let Err(error) = check(path, update) {
            failures.push(format!("{}: {error:#}", path.display()));
        }
    }
    if !failures.is_empty() {
        bail!("{} of {} scripts failed\n{}", failures.len(), paths.len(), failures.join("\n"));
    }
    Ok(paths.len())
}

/// A `MediaOrigin` as a script left it.
pub struct State {
    /// Script and line.
    pub at: String,
    /// The object.
    pub origin: Value,
    /// What kstatus makes of it.
    pub kstatus: &'static str,
}

/// The `MediaOrigin` after every step of every script of a folder.
pub fn states(folder: &Path) -> Result<Vec<State>> {
    let mut states = Vec::new();
    for path in scripts(folder)? {
        let text = std::fs::read_to_string(&path)?;
        let see = |line: usize, origin: &Value| {
            let at = format!("{}:{line}", path.display());
            states.push(State { at, origin: origin.clone(), kstatus: kstatus::kstatus(origin) });
        };
        play(&text, see).with_context(|| path.display().to_string())?;
    }
    Ok(states)
}

fn check(path: &Path, update: bool) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let played = play(&text, |_, _| {})?;
    if played == text {
        return Ok(());
    }
    if update {
        return Ok(std::fs::write(path, played)?);
    }
    let line = played.lines().zip(text.lines()).take_while(|(new, old)| new == old).count();
    let excerpt = |text: &str| text.lines().skip(line).take(3).collect::<Vec<_>>().join("\n    ");
    bail!(
        "line {}: expected\n    {}\n  but it is\n    {}\n  (UPDATE=1 accepts it)",
        line + 1,
        excerpt(&text),
        excerpt(&played)
    )
}

/// Plays a script; the result is the script with the output that its steps have now. `see` is shown the origin after each step.
fn play(text: &str, mut see: impl FnMut(usize, &Value)) -> Result<String> {
    let mut world = World::default();
    let mut played = String::new();
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('>'));
    while let Some((index, line)) = lines.next() {
        played.push_str(line);
        played.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut block = String::new();
        if world::takes_block(line) {
            for (_, line) in lines.by_ref() {
                played.push_str(line);
                played.push('\n');
                if line == "end" {
                    break;
                }
                block.push_str(line);
                block.push('\n');
            }
        }
        let output = world.step(line, &block).with_context(|| format!("line {}: {line}", index + 1))?;
        if world.origin().is_object() {
            see(index + 1, world.origin());
        }
        for line in output.lines() {
            played.push_str(format!("> {line}").trim_end());
            played.push('\n');
        }
    }
    let (plan, report) = world.plan()?;
    ensure!(plan.actions.is_empty(), "a further plan is not empty:\n{plan}");
    ensure!(!report.changed, "a further status would be written:\n{report}");
    Ok(played)
}
