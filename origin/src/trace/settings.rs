//! Where spans go and which are taken: the standard variables of OpenTelemetry, as far as they make sense here.

use std::fmt;
use std::time::Duration;

use super::context::TraceId;

/// Spans that wait for the exporter at most.
const QUEUE_MAX: usize = 2_048;
/// Pairs in a list at most.
const PAIRS_MAX: usize = 64;

/// What a tracer and its exporter need. Printed without its headers, which may be secret.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// The whole address that spans are posted to.
    pub url: String,
    /// Headers of each post, e.g. with credentials.
    pub headers: Vec<(String, String)>,
    /// What the spans say of this process.
    pub resource: Vec<(String, String)>,
    /// Which requests are taken.
    pub sampler: Sampler,
    /// How long a post may take.
    pub timeout: Duration,
    /// How long a span waits for others, at most.
    pub delay: Duration,
    /// Spans that wait at most; further ones are dropped.
    pub queue_max: usize,
}

/// Which requests are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether a parent's decision counts.
    pub follows_parent: bool,
    /// Of the others, those whose trace is below this.
    bound: u128,
}

/// Why spans cannot be exported as it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: \"{value}\" {problem}")]
pub struct SettingsError {
    name: &'static str,
    value: String,
    problem: &'static str,
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Sampler {
    /// A sampler of this share of the requests that have no parent, or of all.
    pub fn new(follows_parent: bool, share: f64) -> Self {
        // 2^56 steps: of the trace the lower 56 bits are random by any standard.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^56")]
        let bound = (share.clamp(0.0, 1.0) * STEPS as f64) as u128;
        Self { follows_parent, bound }
    }

    /// Whether a request of `trace` is taken, where whoever made it has decided so for itself.
    pub fn samples(&self, trace: TraceId, parent: Option<bool>) -> bool {
        parent.filter(|_| self.follows_parent).unwrap_or(trace.0 % STEPS < self.bound)
    }
}

const STEPS: u128 = 1 << 56;

impl Settings {
    /// The settings of a process with this `endpoint` (`--otlp-endpoint`) and these variables; `None` where nobody wants spans.
    pub fn read(
        endpoint: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingsError> {
        let get = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let is = |name: &str, wanted: &str| get(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let base = endpoint
            .filter(|base| !base.is_empty())
            .map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
        let Some(url) = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or(base) else { return Ok(None) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let (name, problem) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "is no http:// or https:// address");
            return Err(SettingsError { name, value: url, problem });
        }
        let mut resource = pairs("OTEL_RESOURCE_ATTRIBUTES", get("OTEL_RESOURCE_ATTRIBUTES"))?;
        if let Some(name) = get("OTEL_SERVICE_NAME") {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".to_owned(), name));
        }
        if !resource.iter().any(|(key, _)| key == "service.name") {
            resource.push(("service.name".to_owned(), "mediaorigin".to_owned()));
        }
        let headers = get("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| get("OTEL_EXPORTER_OTLP_HEADERS"));
        Ok(Some(Self {
            url,
            headers: pairs("OTEL_EXPORTER_OTLP_HEADERS", headers)?,
            resource,
            sampler: sampler(
                get("OTEL_TRACES_SAMPLER").as_deref(),
                get("OTEL_TRACES_SAMPLER_ARG").as_deref(),
            )?,
            timeout: millis("OTEL_EXPORTER_OTLP_TIMEOUT", get("OTEL_EXPORTER_OTLP_TIMEOUT"), 10_000)?,
            delay: millis("OTEL_BSP_SCHEDULE_DELAY", get("OTEL_BSP_SCHEDULE_DELAY"), 5_000)?,
            queue_max: QUEUE_MAX,
        }))
    }
}

fn sampler(kind: Option<&str>, argument: Option<&str>) -> Result<Sampler, SettingsError> {
    let share = || match argument {
        None => Ok(1.0),
        Some(text) => {
            text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| SettingsError {
                name: "OTEL_TRACES_SAMPLER_ARG",
                value: text.to_owned(),
                problem: "is not a share between 0 and 1",
            })
        }
    };
    let (follows_parent, share) = match kind.unwrap_or("parentbased_always_on") {
        "always_on" => (false, 1.0),
        "always_off" => (false, 0.0),
        "traceidratio" => (false, share()?),
        "parentbased_always_on" => (true, 1.0),
        "parentbased_always_off" => (true, 0.0),
        "parentbased_traceidratio" => (true, share()?),
        other => {
            let problem = "is not always_on, always_off or traceidratio, with or without parentbased_";
            return Err(SettingsError { name: "OTEL_TRACES_SAMPLER", value: other.to_owned(), problem });
        }
    };
    Ok(Sampler::new(follows_parent, share))
}

fn millis(name: &'static str, text: Option<String>, default: u64) -> Result<Duration, SettingsError> {
    let Some(text) = text else { return Ok(Duration::from_millis(default)) };
    let millis = text.parse().ok().filter(|millis| (1..=600_000).contains(millis));
    let problem = "is not a number of milliseconds up to 600000";
    millis.map(Duration::from_millis).ok_or(SettingsError { name, value: text, problem })
}

/// `key=value,key=value`, values percent-encoded (W3C Baggage). Says nothing of the values, which may be secret.
fn pairs(name: &'static str, text: Option<String>) -> Result<Vec<(String, String)>, SettingsError> {
    let wrong =
        || SettingsError { name, value: String::new(), problem: "has something that is not key=value" };
    let text = text.unwrap_or_default();
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let pair = |item: &str| {
        let (key, value) = item.split_once('=')?;
        let decoded = decoded(value.trim())?;
        (!key.trim().is_empty()).then(|| (key.trim().to_owned(), decoded))
    };
    items.take(PAIRS_MAX).map(|item| pair(item).ok_or_else(wrong)).collect()
}

/// Percent-decoded.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::read(endpoint, find)
    }

    #[test]
    fn nothing_is_exported_unless_somebody_says_where() {
        let off = [
            (None, vec![]),
            (None, vec![("OTEL_TRACES_SAMPLER", "always_on")]),
            (Some("http://a:4318"), vec![("OTEL_SDK_DISABLED", "true")]),
            (Some("http://a:4318"), vec![("OTEL_TRACES_EXPORTER", "none")]),
        ];
        for (endpoint, variables) in off {
            assert_eq!(read(endpoint, &variables), Ok(None), "{variables:?}");
        }
        let on = read(Some("http://a:4318/"), &[]).unwrap().unwrap();
        assert_eq!((on.url.as_str(), on.delay.as_secs()), ("http://a:4318/v1/traces", 5));
        assert_eq!(on.resource, [("service.name".to_owned(), "mediaorigin".to_owned())]);
        let variables = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://b/x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x=1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,k8s.pod.name=live-1"),
            ("OTEL_SERVICE_NAME", "live"),
        ];
        let on = read(Some("http://a:4318"), &variables).unwrap().unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(on.url, "https://b/x");
        assert_eq!(on.headers, [pair("authorization", "Bearer abc"), pair("x", "1")]);
        assert_eq!(on.resource, [pair("k8s.pod.name", "live-1"), pair("service.name", "live")]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name_and_secrets_are_not_repeated() {
        for (name, value) in [
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ] {
            let error = read(Some("http://a"), &[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && !error.contains("\"secret\""), "{error}");
        }
        let share = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert!(
            read(Some("http://a"), &share).unwrap_err().to_string().starts_with("OTEL_TRACES_SAMPLER_ARG")
        );
        assert!(read(Some("a:4318"), &[]).is_err());
    }

    #[test]
    fn a_share_of_the_traces_is_taken_and_parents_decide_where_they_may() {
        let half = Sampler::new(false, 0.5);
        let (low, high) = (TraceId(1 << 100), TraceId(STEPS - 1));
        assert_eq!((half.samples(low, None), half.samples(high, None)), (true, false));
        assert_eq!((half.samples(low, Some(false)), half.samples(high, Some(true))), (true, false));
        let parent = Sampler::new(true, 0.0);
        assert_eq!(
            [None, Some(false), Some(true)].map(|above| parent.samples(low, above)),
            [false, false, true]
        );
        assert!(Sampler::new(false, 1.0).samples(high, None) && !Sampler::new(false, 0.0).samples(low, None));
    }
}
