//! Cross-origin answers (Fetch standard): the first rule that matches origin and method wins.

use std::borrow::Cow;

use mediaorigin_crds::policy::CorsRule;

/// Headers to add to an answer.
pub type Headers = Vec<(&'static str, String)>;

/// Headers for the answer to a plain request with `method`, from `origin` if the client named one.
pub fn headers(rules: &[CorsRule], origin: Option<&str>, method: &str) -> Headers {
    let mut headers = Headers::new();
    if rules.iter().any(|rule| !is_open(rule)) {
        headers.push(("vary", "Origin".to_owned()));
    }
    let Some(origin) = origin else { return headers };
    if let Some(rule) = rules.iter().find(|rule| matches(rule, origin, method)) {
        headers.push(("access-control-allow-origin", allowed(rule, origin).into_owned()));
        if !rule.expose.is_empty() {
            headers.push(("access-control-expose-headers", rule.expose.join(", ")));
        }
    }
    headers
}

/// Headers for the answer to a preflight request for `method` with `wanted` request headers; `None` where no rule allows
/// it.
pub fn preflight(rules: &[CorsRule], origin: &str, method: &str, wanted: Option<&str>) -> Option<Headers> {
    let names = || wanted.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let takes = |rule: &CorsRule, name: &str| {
        rule.headers.iter().any(|header| header == "*" || header.eq_ignore_ascii_case(name))
    };
    // A rule that does not take the headers does not match, the next one may.
    let mut rules = rules.iter().filter(|rule| matches(rule, origin, method));
    let rule = rules.find(|rule| names().all(|name| takes(rule, name)))?;
    let mut headers = vec![
        ("access-control-allow-origin", allowed(rule, origin).into_owned()),
        ("access-control-allow-methods", methods(rule)),
        ("access-control-max-age", rule.max_age.as_secs().to_string()),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers".to_owned()),
    ];
    // The names themselves and not `*`, which does not cover Authorization.
    let names = names().collect::<Vec<_>>().join(", ");
    if !names.is_empty() {
        headers.push(("access-control-allow-headers", names));
    }
    Some(headers)
}

fn matches(rule: &CorsRule, origin: &str, method: &str) -> bool {
    let method = if method == "POST" { "PUT" } else { method };
    rule.origins.iter().any(|allowed| allowed == "*" || allowed == origin) && rule.methods.contains(&method)
}

fn is_open(rule: &CorsRule) -> bool {
    rule.origins.iter().any(|origin| origin == "*")
}

fn allowed<'a>(rule: &CorsRule, origin: &'a str) -> Cow<'a, str> {
    if is_open(rule) { Cow::Borrowed("*") } else { Cow::Borrowed(origin) }
}

/// Where writing is allowed, POST is too.
fn methods(rule: &CorsRule) -> String {
    let post = rule.methods.contains(&"PUT").then_some("POST");
    rule.methods.iter().copied().chain(post).collect::<Vec<_>>().join(", ")
}
