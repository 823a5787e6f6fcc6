//! `trial`: makes a `MediaOrigin`, waits until it serves, deletes it. What `helm test` runs, by this image alone.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt};
use mediaorigin_crds::names;
use mediaorigin_crds::v1alpha1::{ConditionStatus, MediaOrigin};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::args::TrialArgs;
use crate::reasons::ReadyReason;

/// By which label a trial knows what is its own.
const TRIAL: &str = "trial";
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes it, waits, and deletes it whatever came of it. One that an earlier trial left is deleted first; it is known by its label.
pub async fn run(client: Client, args: TrialArgs) -> Result<(), anyhow::Error> {
    let TrialArgs { namespace, name, timeout_seconds } = args;
    let api = Api::<MediaOrigin>::namespaced(client, &namespace);
    let deadline = Instant::now() + Duration::from_secs(timeout_seconds.into());
    while let Some(found) = api.get_opt(&name).await? {
        if found.labels().get(names::LABEL_COMPONENT).is_none_or(|component| component != TRIAL) {
            bail!("{namespace}/{name} is there already and not of a trial");
        }
        delete(&api, &name).await?;
        if Instant::now() > deadline {
            bail!("an earlier MediaOrigin {namespace}/{name} does not go");
        }
        sleep(PAUSE).await;
    }
    api.create(&PostParams::default(), &origin(&name)?).await.context("cannot make a MediaOrigin")?;
    let result = wait(&api, &name, deadline).await;
    delete(&api, &name).await?;
    let endpoint = result.with_context(|| format!("{namespace}/{name} did not come to serve"))?;
    println!("{namespace}/{name} served at {endpoint}");
    Ok(())
}

/// The smallest origin.
fn origin(name: &str) -> Result<MediaOrigin, anyhow::Error> {
    let spec = json!({ "memory": { "limit": "128Mi" }, "cpu": { "request": "10m" } });
    let mut origin = MediaOrigin::new(name, serde_json::from_value(spec)?);
    origin.labels_mut().insert(names::LABEL_COMPONENT.to_owned(), TRIAL.to_owned());
    Ok(origin)
}

async fn delete(api: &Api<MediaOrigin>, name: &str) -> Result<(), anyhow::Error> {
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop).context("cannot delete the MediaOrigin"),
    }
}

/// Its endpoint when it serves. What stands in its way may pass, also where `Stalled` says otherwise: the children of an earlier
/// trial may still be going. So only the deadline ends it.
async fn wait(api: &Api<MediaOrigin>, name: &str, deadline: Instant) -> Result<String, anyhow::Error> {
    let mut said = String::new();
    loop {
        let obstacle = match verdict(&api.get(name).await?) {
            Ok(endpoint) => return Ok(endpoint),
            Err(obstacle) => obstacle,
        };
        if obstacle != said {
            println!("{obstacle}");
        }
        if Instant::now() > deadline {
            bail!("{obstacle}");
        }
        said = obstacle;
        sleep(PAUSE).await;
    }
}

/// Where it serves, or what it says instead.
fn verdict(origin: &MediaOrigin) -> Result<String, String> {
    let seen = origin
        .status
        .as_ref()
        .filter(|status| Some(status.observed_generation) == origin.metadata.generation);
    let status = seen.ok_or("no operator has seen it yet")?;
    let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
    let ready = ready.ok_or("it has no condition Ready")?;
    if ready.status == ConditionStatus::True && ready.reason == ReadyReason::Serving.as_str() {
        Ok(status.endpoint.clone())
    } else {
        Err(format!("{}: {}", ready.reason, ready.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(status: serde_json::Value) -> MediaOrigin {
        let mut origin = origin("trial").unwrap();
        origin.metadata.generation = Some(1);
        origin.status = Some(serde_json::from_value(status).unwrap());
        origin
    }

    #[test]
    fn only_an_origin_that_serves_this_spec_serves() {
        let conditions = |status: &str, reason: &str| {
            json!([{ "type": "Ready", "status": status, "reason": reason, "message": "why", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z" }])
        };
        let status = |generation: i64, ready: &str, reason: &str| {
            with(
                json!({ "observedGeneration": generation, "endpoint": "http://a", "conditions": conditions(ready, reason) }),
            )
        };
        assert_eq!(verdict(&status(1, "True", "Serving")), Ok("http://a".to_owned()));
        assert_eq!(verdict(&status(1, "False", "Starting")), Err("Starting: why".to_owned()));
        assert_eq!(verdict(&status(1, "True", "Stopped")), Err("Stopped: why".to_owned()));
        for unseen in
            [status(0, "True", "Serving"), with(json!({ "observedGeneration": -1 })), origin("a").unwrap()]
        {
            assert_eq!(verdict(&unseen), Err("no operator has seen it yet".to_owned()));
        }
        assert_eq!(
            verdict(&with(json!({ "observedGeneration": 1 }))),
            Err("it has no condition Ready".to_owned())
        );
    }

    #[test]
    fn the_origin_of_the_trial_is_accepted() {
        let text = serde_json::to_string(&origin("trial").unwrap()).unwrap();
        assert!(mediaorigin_crds::load::parse(&text).is_ok());
    }
}
