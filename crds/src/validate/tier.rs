//! Rules of `tierPolicies`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{check_range, is_label};
use crate::policy::{
    self, CacheControl, CdnProfile, Class, Disk, Durability, Keep, TierPolicy, Tiers, Visibility,
};
use crate::problem::Problem;
use crate::v1alpha1::{
    CdnProfileSpec, ClassSpec, ColdTierSpec, ConsistencySpec, DurabilitySpec, TierPolicySpec, VisibilitySpec,
};

/// Rules in `spec.tierPolicies` at most.
pub const TIER_POLICIES_MAX: usize = 64;
/// Longest `keepSeconds` of a tier below memory: ten years.
const KEEP_SECONDS_MAX: i32 = 315_360_000;
/// Globs of one rule at most.
pub const PATHS_MAX: usize = 16;
/// After what silence of the log `Eager` begins, where a rule does not say.
const EAGER_AFTER_MILLISECONDS: i32 = 250;
/// Characters of one glob at most.
pub const GLOB_LENGTH_MAX: usize = 256;

/// Compiles the rules under `at`; what is wrong with them is added to `problems`.
pub(crate) fn compile(
    at: &str,
    specs: &[TierPolicySpec],
    tiers: Tiers,
    problems: &mut Vec<Problem>,
) -> Vec<TierPolicy> {
    if specs.len() > TIER_POLICIES_MAX {
        problems.push(Problem::new(at, format!("{} rules, {TIER_POLICIES_MAX} are possible", specs.len())));
    }
    let mut seen = BTreeSet::new();
    specs
        .iter()
        .enumerate()
        .map(|(index, spec)| {
            let at = format!("{at}[{index}]");
            check_rule_name(&at, &spec.name, &mut seen, problems);
            tier_policy(&at, spec, tiers, problems)
        })
        .collect()
}

fn check_rule_name<'a>(at: &str, name: &'a str, seen: &mut BTreeSet<&'a str>, problems: &mut Vec<Problem>) {
    let field = format!("{at}.name");
    if !is_label(name) || name.len() > 63 {
        let message = format!("\"{name}\" is not a name: up to 63 lower-case letters, digits and -");
        problems.push(Problem::new(field, message));
    } else if !seen.insert(name) {
        problems.push(Problem::new(
            field,
            format!("\"{name}\" is the name of an earlier rule; names are unique"),
        ));
    }
}

fn tier_policy(at: &str, spec: &TierPolicySpec, tiers: Tiers, problems: &mut Vec<Problem>) -> TierPolicy {
    let durability = durability(&format!("{at}.durability"), spec.durability, tiers, problems);
    let (disk, object_store) = cold_tiers(at, spec, (tiers, durability), problems);
    let keep =
        check_range(&format!("{at}.memory.keepSeconds"), spec.memory.keep_seconds, 0, 86_400, problems);
    let expire = spec
        .expire_seconds
        .map(|seconds| check_range(&format!("{at}.expireSeconds"), seconds, 1, 315_360_000, problems));
    let eager_after = eager_after(at, spec, tiers, problems);
    let serve_stale = serve_stale(at, spec, tiers, problems);
    TierPolicy {
        name: spec.name.clone(),
        globs: globs(&format!("{at}.match.paths"), &spec.matches.paths, problems),
        class: class(spec.class),
        visibility: visibility(spec.visibility),
        durability,
        eager_after,
        serve_stale,
        keep: Duration::from_secs(u64::from(keep)),
        disk,
        object_store,
        expire: expire.map(|seconds| Duration::from_secs(u64::from(seconds))),
        cache_control: cache_control(&format!("{at}.cacheControl"), &spec.cache_control, problems),
    }
}

fn durability(
    field: &str,
    spec: Option<DurabilitySpec>,
    tiers: Tiers,
    problems: &mut Vec<Problem>,
) -> Durability {
    let message = match spec {
        Some(DurabilitySpec::Disk) if tiers.disk != Disk::Persistent => {
            "Disk needs a disk that outlives the pod: set spec.disk.storageClassName, or write Memory or Durable"
        }
        Some(DurabilitySpec::Durable) if !tiers.has_object_store => {
            "Durable needs spec.objectStore: set it, or write Memory or Disk"
        }
        Some(DurabilitySpec::Replicated) if !tiers.has_log => {
            "Replicated needs spec.coordination: set it, or write Memory, Disk or Durable"
        }
        Some(DurabilitySpec::Memory) => return Durability::Memory,
        Some(DurabilitySpec::Disk) => return Durability::Disk,
        Some(DurabilitySpec::Replicated) => return Durability::Replicated,
        Some(DurabilitySpec::Durable) => return Durability::Durable,
        None => return tiers.durability(),
    };
    problems.push(Problem::new(field, message));
    Durability::Memory
}

/// After what time of silence a fleet goes on without its log, if it does.
fn eager_after(
    at: &str,
    spec: &TierPolicySpec,
    tiers: Tiers,
    problems: &mut Vec<Problem>,
) -> Option<Duration> {
    let field = format!("{at}.eagerAfterMilliseconds");
    let is_eager = spec.consistency == ConsistencySpec::Eager;
    if is_eager && !tiers.has_log {
        let message = "Eager needs spec.coordination: set it, or write Strict";
        problems.push(Problem::new(format!("{at}.consistency"), message));
    }
    if let (Some(_), false) = (spec.eager_after_milliseconds, is_eager) {
        problems.push(Problem::new(field.clone(), "needs consistency: Eager: set it, or remove this"));
    }
    let milliseconds = spec.eager_after_milliseconds.unwrap_or(EAGER_AFTER_MILLISECONDS);
    let milliseconds = check_range(&field, milliseconds, 10, 60_000, problems);
    is_eager.then(|| Duration::from_millis(u64::from(milliseconds)))
}

/// For how long a fleet shows what it knew while its log is silent, if it does.
fn serve_stale(
    at: &str,
    spec: &TierPolicySpec,
    tiers: Tiers,
    problems: &mut Vec<Problem>,
) -> Option<Duration> {
    let field = format!("{at}.serveStaleSeconds");
    if spec.serve_stale_seconds.is_some() && !tiers.has_log {
        let message = "needs spec.coordination: set it, or remove this";
        problems.push(Problem::new(field.clone(), message));
    }
    let seconds = check_range(&field, spec.serve_stale_seconds.unwrap_or(0), 0, 300, problems);
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

/// How long the tiers below memory keep: what the rule says, which must fit what exists and what is promised.
fn cold_tiers(
    at: &str,
    spec: &TierPolicySpec,
    (tiers, durability): (Tiers, Durability),
    problems: &mut Vec<Problem>,
) -> (Keep, Keep) {
    let mut keep = |tier: &str, spec: Option<&ColdTierSpec>, default: Keep, promised: Durability| {
        let Some(seconds) = spec.and_then(|spec| spec.keep_seconds) else { return default };
        let field = format!("{at}.{tier}.keepSeconds");
        if default == Keep::Never {
            problems.push(Problem::new(field, format!("needs spec.{tier}: set it, or remove keepSeconds")));
            return Keep::Never;
        }
        let seconds = check_range(&field, seconds, 0, KEEP_SECONDS_MAX, problems);
        if seconds == 0 && durability == promised {
            let promised = promised.as_str();
            let message = format!(
                "0 breaks the rule's durability, {promised}: write at least 1, or another durability"
            );
            problems.push(Problem::new(field, message));
        }
        if seconds == 0 { Keep::Never } else { Keep::For(Duration::from_secs(u64::from(seconds))) }
    };
    (
        keep("disk", spec.disk.as_ref(), tiers.disk_keep(), Durability::Disk),
        keep("objectStore", spec.object_store.as_ref(), tiers.object_store_keep(), Durability::Durable),
    )
}

/// The CDN in front of an origin.
pub(crate) fn cdn_profile(spec: CdnProfileSpec) -> CdnProfile {
    match spec {
        CdnProfileSpec::Generic => CdnProfile::Generic,
        CdnProfileSpec::CloudFront => CdnProfile::CloudFront,
        CdnProfileSpec::Fastly => CdnProfile::Fastly,
        CdnProfileSpec::Akamai => CdnProfile::Akamai,
        CdnProfileSpec::GoogleCdn => CdnProfile::GoogleCdn,
    }
}

fn class(spec: ClassSpec) -> Option<Class> {
    match spec {
        ClassSpec::Auto => None,
        ClassSpec::Manifest => Some(Class::Manifest),
        ClassSpec::Init => Some(Class::Init),
        ClassSpec::Segment => Some(Class::Segment),
        ClassSpec::Part => Some(Class::Part),
        ClassSpec::Other => Some(Class::Other),
    }
}

fn visibility(spec: VisibilitySpec) -> Option<Visibility> {
    match spec {
        VisibilitySpec::Auto => None,
        VisibilitySpec::Early => Some(Visibility::Early),
        VisibilitySpec::Complete => Some(Visibility::Complete),
    }
}

fn cache_control(field: &str, text: &str, problems: &mut Vec<Problem>) -> CacheControl {
    if !is_header_value(text) || text.len() > 256 {
        let message = "not a header value: 1 to 256 printable ASCII characters, or Auto, or AsStored";
        problems.push(Problem::new(field, message));
    }
    match text {
        "Auto" => CacheControl::Auto,
        "AsStored" => CacheControl::AsStored,
        literal => CacheControl::Literal(literal.to_owned()),
    }
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text && !text.is_empty()
}

pub(crate) fn globs(at: &str, paths: &[String], problems: &mut Vec<Problem>) -> Vec<globset::GlobMatcher> {
    if paths.is_empty() || paths.len() > PATHS_MAX {
        problems.push(Problem::new(at, format!("{} globs, 1 to {PATHS_MAX} are possible", paths.len())));
    }
    let mut matchers = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, path) in paths.iter().enumerate() {
        let field = format!("{at}[{index}]");
        let problem = glob_problem(path).or_else(|| (!seen.insert(path)).then(|| "appears twice".to_owned()));
        match (problem, policy::glob(path)) {
            (Some(message), _) => problems.push(Problem::new(field, format!("\"{path}\" {message}"))),
            (None, Ok(glob)) => matchers.push(glob.compile_matcher()),
            (None, Err(error)) => {
                problems.push(Problem::new(field, format!("\"{path}\" is not a glob: {}", error.kind())));
            }
        }
    }
    matchers
}

fn glob_problem(path: &str) -> Option<String> {
    let length = path.chars().count();
    if path.is_empty() || length > GLOB_LENGTH_MAX {
        return Some(format!("has {length} characters, 1 to {GLOB_LENGTH_MAX} are possible"));
    }
    if let Some(rest) = path.strip_prefix('/') {
        return Some(format!("has a leading slash: write \"{rest}\""));
    }
    (path.contains("//") || path.contains("..")).then(|| "has an empty folder or ..".to_owned())
}
