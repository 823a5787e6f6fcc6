//! What a pod says about itself at its admin port, as far as a plan or a status looks at it. Pure: made from the JSON of `/-/status`.

use mediaorigin_crds::names;
use mediaorigin_crds::units::Bytes;
use serde_json::Value;

use crate::reasons::HealthReason;

/// An error of a tier that is older than this is history.
const TROUBLE_SECONDS: u64 = 60;
/// What must be free below a smaller limit before a container is given it, one part in so many: the origin goes on meanwhile.
const MARGIN_SHARE: u64 = 32;
/// Longest message of a trouble: a pod's words are not trusted to be short.
const MESSAGE_LENGTH_MAX: usize = 500;

/// What a pod says. Nothing in it changes while all is well, so that two looks are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodReport {
    /// Uid of the origin that it serves.
    pub uid: String,
    /// Generation of the configuration in force.
    pub generation: i64,
    /// Problems of the configuration that it was given last.
    pub refused: Vec<String>,
    /// What is wrong with what it needs.
    pub troubles: Vec<Trouble>,
    /// Why the newest configuration could not be handed to it.
    pub not_pushed: Option<String>,
    /// The generation that it refused when it was handed to it.
    pub refused_generation: Option<i64>,
    /// What it says of its memory.
    pub memory: Option<PodMemory>,
    /// Streams that are being published, rounded so that a status does not change with each.
    pub streams: u32,
}

/// What a pod says of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodMemory {
    /// What it has planned with.
    pub limit: Bytes,
    /// Whether its container could have that limit now: asked only where it has more. Nothing here changes with every byte.
    pub fits: bool,
}

impl PodMemory {
    fn read(memory: &Value) -> Option<Self> {
        let number = |field: &str| memory[field].as_u64();
        let limit = number("limit")?;
        let fits = match (number("containerLimit"), number("workingSet")) {
            (Some(container), Some(used)) if container > limit => {
                used.saturating_add(limit / MARGIN_SHARE) <= limit
            }
            _ => true,
        };
        Some(Self { limit: Bytes(limit), fits })
    }
}

/// Something that a pod needs and that is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In one word.
    pub reason: HealthReason,
    /// In the pod's words.
    pub message: String,
}

impl PodReport {
    /// Reads the answer of `/-/status`.
    pub fn read(status: &Value) -> Self {
        Self {
            uid: status["uid"].as_str().unwrap_or_default().to_owned(),
            generation: status["generation"].as_i64().unwrap_or_default(),
            refused: texts(&status["config"]["refused"]),
            troubles: troubles(status),
            not_pushed: None,
            refused_generation: None,
            memory: PodMemory::read(&status["memory"]),
            streams: status["streams"]
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default(),
        }
    }

    /// Whether it has said no to this generation.
    pub fn has_refused(&self, generation: i64) -> bool {
        self.refused_generation == Some(generation)
    }

    /// Whether it serves the configuration of this origin's `generation`, or a newer one.
    pub fn serves(&self, uid: &str, generation: i64) -> bool {
        self.uid == uid && self.generation >= generation
    }
}

fn troubles(status: &Value) -> Vec<Trouble> {
    let secret = texts(&status["access"]["refused"]);
    let secret = (!secret.is_empty()).then(|| (HealthReason::SecretRefused, secret.join("; ")));
    let certificate = status["tlsRefused"].as_str().filter(|problem| !problem.is_empty());
    let certificate = certificate.map(|problem| (HealthReason::CertificateRefused, problem.to_owned()));
    let tiers = &status["tiers"];
    let bucket = tier_trouble(
        &tiers["objectStore"],
        [HealthReason::BucketDenied, HealthReason::BucketUnavailable, HealthReason::BucketFull],
    );
    let disk = tier_trouble(
        &tiers["disk"],
        [HealthReason::DiskDenied, HealthReason::DiskUnavailable, HealthReason::DiskFull],
    );
    let log = tier_trouble(
        &status["index"]["log"],
        [HealthReason::LogUnavailable, HealthReason::LogUnavailable, HealthReason::LogFull],
    );
    [secret, certificate, bucket, disk, log]
        .into_iter()
        .flatten()
        .map(|(reason, message)| Trouble {
            reason,
            message: message.chars().take(MESSAGE_LENGTH_MAX).collect(),
        })
        .collect()
}

/// What a tier could not do lately, and what that is called here.
fn tier_trouble(
    tier: &Value,
    [denied, unavailable, full]: [HealthReason; 3],
) -> Option<(HealthReason, String)> {
    let reason = match tier["lastErrorKind"].as_str()? {
        "Denied" => denied,
        "Unavailable" => unavailable,
        "Full" => full,
        _ => return None,
    };
    let is_recent = tier["lastErrorAgeSeconds"].as_u64().is_some_and(|age| age < TROUBLE_SECONDS);
    is_recent.then(|| (reason, tier["lastError"].as_str().unwrap_or_default().to_owned()))
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(|text| text.chars().take(MESSAGE_LENGTH_MAX).collect()).collect()
}

/// Where a pod answers the operator; nothing before it has an address.
pub fn admin_address(pod: &k8s_openapi::api::core::v1::Pod) -> Option<std::net::SocketAddr> {
    let address = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some(std::net::SocketAddr::new(address, names::ADMIN_PORT))
}
