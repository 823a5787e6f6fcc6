//! Wire → domain. Every problem is returned, each with the path of its field; nothing is accepted half.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::budget::{Budget, LIMIT_MIN};
use crate::config::{Cold, Hot, OriginConfig};
use crate::document::Metadata;
use crate::names;
use crate::policy::{self, CacheControl, Class, CorsRule, TierPolicy, Visibility};
use crate::units::Bytes;
use crate::v1alpha1::{
    ClassSpec, CorsRuleSpec, CpuSpec, LimitsSpec, MediaOriginSpec, MethodSpec, ServiceSpec, ServiceTypeSpec,
    TierPolicySpec, VisibilitySpec,
};

/// Rules in `spec.tierPolicies` at most.
pub const TIER_POLICIES_MAX: usize = 64;
/// Globs of one rule at most.
pub const PATHS_MAX: usize = 16;
/// Characters of one glob at most.
pub const GLOB_LENGTH_MAX: usize = 256;
/// Cross-origin rules at most.
pub const CORS_RULES_MAX: usize = 100;
/// Smallest and largest value of `spec.limits.objectSize`.
pub const OBJECT_SIZE_RANGE: (Bytes, Bytes) = (Bytes(64 * Bytes::KIB), Bytes(4096 * Bytes::MIB));

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path of the field, `spec.tierPolicies[0].match.paths[1]`; empty where the document itself is broken.
    pub field: String,
    /// What is wrong with it and what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(out, "{}", self.message)
        } else {
            write!(out, "{}: {}", self.field, self.message)
        }
    }
}

/// A spec without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Settings that are part of the pod template.
    pub cold: Cold,
    /// Settings that never are.
    pub hot: Hot,
    /// The memory budget of a pod.
    pub budget: Budget,
}

impl Accepted {
    /// The document for an origin.
    pub fn config(self, metadata: Metadata) -> OriginConfig {
        OriginConfig {
            api_version: names::API_VERSION.to_owned(),
            kind: names::CONFIG_KIND.to_owned(),
            metadata,
            cold: self.cold,
            hot: self.hot,
        }
    }
}

/// Checks a spec as a whole.
pub fn validate(name: &str, spec: &MediaOriginSpec) -> Result<Accepted, Vec<Problem>> {
    let mut problems = Vec::new();
    check_name(name, &mut problems);
    check_range("spec.replicas", spec.replicas, 0, 1000, &mut problems);
    if spec.replicas > 1 {
        let message = "more than one pod needs a shared index, which this version does not have: use 0 or 1";
        problems.push(Problem::new("spec.replicas", message));
    }
    let memory = memory_limit(&spec.memory.limit, &mut problems);
    check_cpu(&spec.cpu, &mut problems);
    let limits = limits(&spec.limits, &mut problems);
    let budget = memory.and_then(|memory| match Budget::derive(memory, limits.connections) {
        Ok(budget) => Some(budget),
        Err(error) => {
            problems.push(Problem::new("spec.memory.limit", error.to_string()));
            None
        }
    });
    if let (Some(budget), Some(object_size)) = (budget, limits.object_size)
        && object_size > budget.objects
        && spec.limits.object_size != LimitsSpec::default().object_size
    {
        let message =
            format!("{object_size} is more than the {} that this origin can hold at all", budget.objects);
        problems.push(Problem::new("spec.limits.objectSize", message));
    }
    let _ = tier_policies("spec.tierPolicies", &spec.tier_policies, &mut problems);
    let _ = cors_rules("spec.access.cors", &spec.access.cors, &mut problems);
    check_secret(spec, &mut problems);
    check_service(&spec.service, &mut problems);
    check_pod_template(spec, &mut problems);
    match budget {
        Some(budget) if problems.is_empty() => Ok(accepted(spec, budget, &limits)),
        _ => Err(problems),
    }
}

fn accepted(spec: &MediaOriginSpec, budget: Budget, limits: &ParsedLimits) -> Accepted {
    let object_size = limits.object_size.unwrap_or(budget.objects).min(budget.objects);
    Accepted {
        cold: Cold {
            memory_limit_bytes: budget.limit.get(),
            connections_max: limits.connections,
            media_port: names::MEDIA_PORT,
            admin_port: names::ADMIN_PORT,
            publisher_dir: spec.access.write.as_ref().map(|_| names::PUBLISHER_DIR.to_owned()),
        },
        hot: Hot {
            tier_policies: spec.tier_policies.clone(),
            cors: spec.access.cors.clone(),
            object_bytes_max: object_size.get(),
            upload_idle_seconds: limits.upload_idle_seconds,
        },
        budget,
    }
}

struct ParsedLimits {
    object_size: Option<Bytes>,
    connections: u32,
    upload_idle_seconds: u32,
}

fn check_name(name: &str, problems: &mut Vec<Problem>) {
    if name.len() > names::NAME_LENGTH_MAX {
        let message =
            format!("the name has {} characters, {} are possible", name.len(), names::NAME_LENGTH_MAX);
        problems.push(Problem::new("metadata.name", message));
    } else if !is_label(name) {
        let message = format!("\"{name}\" is not a name: lower-case letters, digits and -, e.g. \"live\"");
        problems.push(Problem::new("metadata.name", message));
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = text.as_bytes();
    !text.is_empty() && bytes.iter().all(|byte| inner(*byte)) && edge(bytes.first()) && edge(bytes.last())
}

fn check_range(field: &str, value: i32, min: i32, max: i32, problems: &mut Vec<Problem>) -> u32 {
    if !(min..=max).contains(&value) {
        problems.push(Problem::new(field, format!("{value} is not between {min} and {max}")));
    }
    u32::try_from(value.clamp(min, max)).unwrap_or(0)
}

fn quantity(field: &str, text: &str, problems: &mut Vec<Problem>) -> Option<Bytes> {
    Bytes::parse(text).map_err(|error| problems.push(Problem::new(field, error.to_string()))).ok()
}

fn memory_limit(text: &str, problems: &mut Vec<Problem>) -> Option<Bytes> {
    let field = "spec.memory.limit";
    let limit = quantity(field, text, problems)?;
    if limit < LIMIT_MIN {
        problems.push(Problem::new(
            field,
            format!("{text} is too little: an origin needs at least {LIMIT_MIN} of memory"),
        ));
        return None;
    }
    Some(limit)
}

fn check_cpu(cpu: &CpuSpec, problems: &mut Vec<Problem>) {
    let request = milli_cpu("spec.cpu.request", &cpu.request, problems);
    let Some(text) = &cpu.limit else { return };
    let limit = milli_cpu("spec.cpu.limit", text, problems);
    if let (Some(request), Some(limit)) = (request, limit)
        && request > limit
    {
        let message = format!("{text} is less than the request of {}", cpu.request);
        problems.push(Problem::new("spec.cpu.limit", message));
    }
}

fn milli_cpu(field: &str, text: &str, problems: &mut Vec<Problem>) -> Option<u32> {
    let milli = match text.strip_suffix('m') {
        Some(number) => number.parse::<u32>().ok(),
        None => cores(text),
    };
    let milli = milli.filter(|milli| *milli > 0);
    if milli.is_none() {
        problems.push(Problem::new(
            field,
            format!("\"{text}\" is not an amount of CPU: write e.g. \"500m\" or \"2\""),
        ));
    }
    milli
}

/// Whole cores with up to three decimals, in thousandths.
fn cores(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 || whole.len() > 4 {
        return None;
    }
    let milli: u32 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole.parse::<u32>().ok()? * 1000 + milli)
}

fn limits(limits: &LimitsSpec, problems: &mut Vec<Problem>) -> ParsedLimits {
    let field = "spec.limits.objectSize";
    let (min, max) = OBJECT_SIZE_RANGE;
    let object_size = quantity(field, &limits.object_size, problems);
    if let Some(size) = object_size
        && !(min..=max).contains(&size)
    {
        problems.push(Problem::new(field, format!("{size} is not between {min} and {max}")));
    }
    let connections = check_range("spec.limits.connections", limits.connections, 16, 100_000, problems);
    let idle = check_range("spec.limits.uploadIdleSeconds", limits.upload_idle_seconds, 5, 3_600, problems);
    ParsedLimits { object_size, connections, upload_idle_seconds: idle }
}

/// Compiles the rules under `at`; what is wrong with them is added to `problems`.
pub(crate) fn tier_policies(
    at: &str,
    specs: &[TierPolicySpec],
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
            tier_policy(&at, spec, problems)
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

fn tier_policy(at: &str, spec: &TierPolicySpec, problems: &mut Vec<Problem>) -> TierPolicy {
    let keep =
        check_range(&format!("{at}.memory.keepSeconds"), spec.memory.keep_seconds, 0, 86_400, problems);
    let expire = spec
        .expire_seconds
        .map(|seconds| check_range(&format!("{at}.expireSeconds"), seconds, 1, 315_360_000, problems));
    TierPolicy {
        name: spec.name.clone(),
        globs: globs(&format!("{at}.match.paths"), &spec.matches.paths, problems),
        class: class(spec.class),
        visibility: visibility(spec.visibility),
        keep: Duration::from_secs(u64::from(keep)),
        expire: expire.map(|seconds| Duration::from_secs(u64::from(seconds))),
        cache_control: cache_control(&format!("{at}.cacheControl"), &spec.cache_control, problems),
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

fn globs(at: &str, paths: &[String], problems: &mut Vec<Problem>) -> Vec<globset::GlobMatcher> {
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
    if path.is_empty() || path.len() > GLOB_LENGTH_MAX {
        return Some(format!("has {} characters, 1 to {GLOB_LENGTH_MAX} are possible", path.len()));
    }
    if let Some(rest) = path.strip_prefix('/') {
        return Some(format!("has a leading slash: write \"{rest}\""));
    }
    (path.contains("//") || path.contains("..")).then(|| "has an empty folder or ..".to_owned())
}

/// Compiles the cross-origin rules under `at`; what is wrong with them is added to `problems`.
pub(crate) fn cors_rules(at: &str, specs: &[CorsRuleSpec], problems: &mut Vec<Problem>) -> Vec<CorsRule> {
    if specs.len() > CORS_RULES_MAX {
        problems.push(Problem::new(at, format!("{} rules, {CORS_RULES_MAX} are possible", specs.len())));
    }
    specs
        .iter()
        .enumerate()
        .map(|(index, spec)| cors_rule(&format!("{at}[{index}]"), spec, problems))
        .collect()
}

fn cors_rule(at: &str, spec: &CorsRuleSpec, problems: &mut Vec<Problem>) -> CorsRule {
    if spec.allowed_origins.is_empty() || spec.allowed_origins.len() > 100 {
        let message = format!("{} origins, 1 to 100 are possible", spec.allowed_origins.len());
        problems.push(Problem::new(format!("{at}.allowedOrigins"), message));
    }
    for (index, origin) in spec.allowed_origins.iter().enumerate() {
        if !is_origin(origin) {
            let message =
                format!("\"{origin}\" is not an origin: write * or scheme://host[:port] without a path");
            problems.push(Problem::new(format!("{at}.allowedOrigins[{index}]"), message));
        }
    }
    if spec.allowed_methods.is_empty() {
        problems.push(Problem::new(
            format!("{at}.allowedMethods"),
            "no method: leave the field out for GET and HEAD",
        ));
    }
    for (field, names) in [("allowedHeaders", &spec.allowed_headers), ("exposeHeaders", &spec.expose_headers)]
    {
        check_header_names(&format!("{at}.{field}"), names, problems);
    }
    let max_age = check_range(&format!("{at}.maxAgeSeconds"), spec.max_age_seconds, 0, 86_400, problems);
    CorsRule {
        origins: spec.allowed_origins.clone(),
        methods: spec.allowed_methods.iter().map(|method| method_name(*method)).collect(),
        headers: spec.allowed_headers.clone(),
        expose: spec.expose_headers.clone(),
        max_age: Duration::from_secs(u64::from(max_age)),
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return text == "*" };
    let scheme_ok = scheme
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte));
    let host_ok = !host.is_empty() && !host.contains(['/', '*', ' ', '\t', '\r', '\n']) && host.is_ascii();
    scheme_ok && scheme.starts_with(|first: char| first.is_ascii_lowercase()) && host_ok && text.len() <= 255
}

fn check_header_names(at: &str, names: &[String], problems: &mut Vec<Problem>) {
    let is_token = |text: &str| {
        let special = b"!#$%&'*+.^_`|~-";
        !text.is_empty()
            && text.len() <= 128
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || special.contains(&byte))
    };
    if names.len() > 100 {
        problems.push(Problem::new(at, format!("{} names, 100 are possible", names.len())));
    }
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !is_token(name)) {
        problems.push(Problem::new(format!("{at}[{index}]"), format!("\"{name}\" is not a header name")));
    }
}

const fn method_name(method: MethodSpec) -> &'static str {
    match method {
        MethodSpec::Get => "GET",
        MethodSpec::Head => "HEAD",
        MethodSpec::Put => "PUT",
        MethodSpec::Delete => "DELETE",
    }
}

fn check_secret(spec: &MediaOriginSpec, problems: &mut Vec<Problem>) {
    if let Some(write) = &spec.access.write
        && !is_object_name(&write.secret_ref.name)
    {
        let message = format!("\"{}\" is not the name of a Secret", write.secret_ref.name);
        problems.push(Problem::new("spec.access.write.secretRef.name", message));
    }
}

fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn check_service(service: &ServiceSpec, problems: &mut Vec<Problem>) {
    check_range("spec.service.port", service.port, 1, 65_535, problems);
    let Some(port) = service.node_port else { return };
    check_range("spec.service.nodePort", port, 1, 65_535, problems);
    if service.kind == ServiceTypeSpec::ClusterIP {
        let message = "nodePort needs type NodePort or LoadBalancer";
        problems.push(Problem::new("spec.service.nodePort", message));
    }
}

fn check_pod_template(spec: &MediaOriginSpec, problems: &mut Vec<Problem>) {
    let template = &spec.pod_template;
    if let Some(image) = &template.image
        && (image.is_empty() || image.contains(char::is_whitespace))
    {
        problems
            .push(Problem::new("spec.podTemplate.image", format!("\"{image}\" is not the name of an image")));
    }
    for key in template.labels.keys().chain(template.annotations.keys()) {
        if key.contains(names::GROUP) {
            let message = format!("\"{key}\" belongs to the operator, choose a key of your own");
            problems.push(Problem::new("spec.podTemplate", message));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, variable) in template.env.iter().enumerate() {
        if !seen.insert(&variable.name) {
            let message = format!("\"{}\" is set twice", variable.name);
            problems.push(Problem::new(format!("spec.podTemplate.env[{index}].name"), message));
        }
    }
}

/// Reads a value into a wire type; the path of every field that the type does not know goes to `unknown`.
pub(crate) fn read<T: DeserializeOwned>(
    value: serde_yaml::Value,
    unknown: &mut dyn FnMut(String),
) -> Result<T, Problem> {
    let mut track = serde_path_to_error::Track::new();
    let mut callback = |path: serde_ignored::Path<'_>| unknown(render(&path));
    let lenient = serde_ignored::Deserializer::new(value, &mut callback);
    T::deserialize(serde_path_to_error::Deserializer::new(lenient, &mut track))
        .map_err(|error| Problem::new(track.path().to_string(), error.to_string()))
}

/// `spec.tierPolicies[0].name`, as Kubernetes writes paths.
fn render(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", render(parent)),
        Path::Map { parent, key } => match render(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            render(parent)
        }
    }
}
