//! Cross-origin rules.

use std::time::Duration;

use super::{check_range, check_unique};
use crate::policy::CorsRule;
use crate::problem::Problem;
use crate::v1alpha1::{CorsRuleSpec, MethodSpec};

/// Cross-origin rules at most.
pub const CORS_RULES_MAX: usize = 100;

/// Compiles the cross-origin rules under `at`; what is wrong with them is added to `problems`.
pub(crate) fn compile(at: &str, specs: &[CorsRuleSpec], problems: &mut Vec<Problem>) -> Vec<CorsRule> {
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
    check_unique(&format!("{at}.allowedOrigins"), &spec.allowed_origins, problems);
    check_unique(&format!("{at}.allowedMethods"), &spec.allowed_methods, problems);
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
    let host_ok =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/*".contains(&byte));
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
    check_unique(at, names, problems);
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
