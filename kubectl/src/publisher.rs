//! `publisher`: what an encoder needs. Values of a Secret are printed only where they are asked for. Pure.

use std::collections::BTreeMap;

use mediaorigin_crds::v1alpha1::{MediaOriginSpec, RouteSpec, ServiceTypeSpec, TlsSpec};
use mediaorigin_operator::observed::Observed;
use mediaorigin_operator::part::Part;
use mediaorigin_operator::plan::credentials::publisher_secret;
use mediaorigin_operator::plan::service::endpoint;
use serde_json::Value;

use crate::text::columns;

/// Keys of the Secret that an encoder can use, in the order in which one is chosen for the command line.
const KEYS: [&str; 6] =
    ["username", "password", "token", "accessKeyId", "secretAccessKey", "publishers.yaml"];
/// Where the command line pushes to.
const FOLDER: &str = "live/stream";

/// What is known of the publishers' Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// Its keys, each with its value.
    Known(BTreeMap<String, Vec<u8>>),
    /// There is none of this name.
    Missing,
    /// It could not be read, for this reason.
    Unseen(String),
}

/// The Secret with the credentials of publishers, the user's or the operator's; none where everyone may write.
pub fn secret_name(observed: &Observed) -> Option<String> {
    let write = observed.spec.as_ref().ok()?.access.write.as_ref()?;
    Some(publisher_secret(&observed.name, write))
}

/// What an encoder of the origin needs.
pub fn text(observed: &Observed, secret: Option<&Secret>, show_secret: bool) -> String {
    let title = format!("Publishing to {}/{}\n", observed.namespace, observed.name);
    let spec = match &observed.spec {
        Ok(spec) => spec,
        Err(problems) => {
            let rows: Vec<_> = problems.iter().map(|problem| vec![problem.to_string()]).collect();
            return format!("{title}  the spec cannot be read:\n{}", columns("    ", &rows));
        }
    };
    let outside = Outside::of(observed, spec);
    let fact = |name: &str, value: String| vec![name.to_owned(), value];
    let mut facts = vec![
        fact("in the cluster", endpoint(&observed.name, &observed.namespace, &spec.service)),
        fact("outside", outside.sentence.clone()),
    ];
    if let Some(tls) = &spec.service.tls {
        facts.push(fact("TLS", certificate(tls)));
    }
    if let Some(route) = &spec.route {
        facts.push(fact("by gateway", gateway(route)));
    }
    let secret_name = secret_name(observed);
    let secret_name = secret_name.as_deref();
    facts.push(fact("credentials", credentials(secret_name, secret)));
    if observed.status.ready_replicas == 0 {
        facts.push(fact("now", "no pod is ready: see kubectl mediaorigin status".to_owned()));
    }
    let mut text = title + &columns("  ", &facts);
    text.push_str("\nA command line for bash, with any path in place of live/stream:\n\n");
    text.push_str(&command(observed, spec, &outside.url, secret_name.zip(secret)));
    if show_secret && let Some(Secret::Known(values)) = secret {
        text.push_str("\nThe Secret\n");
        text.push_str(&shown(values));
    }
    text
}

/// How the origin is reached from outside the cluster.
struct Outside {
    /// For people.
    sentence: String,
    /// For the command line.
    url: String,
}

impl Outside {
    fn of(observed: &Observed, spec: &MediaOriginSpec) -> Self {
        let service = observed.children.get(&Part::Service).filter(|service| observed.owns(service));
        let port = spec.service.port;
        let scheme = if spec.service.tls.is_some() { "https" } else { "http" };
        let inside = endpoint(&observed.name, &observed.namespace, &spec.service);
        let Some(service) = service else {
            return Self { sentence: "there is no Service yet".to_owned(), url: inside };
        };
        let node_port = service.pointer("/spec/ports/0/nodePort").and_then(Value::as_u64);
        let on_nodes = node_port.map(|port| format!("{scheme}://NODE:{port}"));
        let forward = format!(
            "kubectl port-forward -n {} service/{} 8080:{port}, then {scheme}://localhost:8080",
            observed.namespace, observed.name
        );
        match spec.service.kind {
            ServiceTypeSpec::ClusterIP => Self {
                sentence: format!("not by the Service (ClusterIP); to try it: {forward}"),
                url: inside,
            },
            ServiceTypeSpec::NodePort => match on_nodes {
                Some(url) => Self {
                    sentence: format!(
                        "{url}, NODE being the address of any node (kubectl get nodes -o wide)"
                    ),
                    url,
                },
                None => Self { sentence: "the Service has no port on the nodes yet".to_owned(), url: inside },
            },
            ServiceTypeSpec::LoadBalancer => {
                let addresses = addresses(service, scheme, port);
                match (addresses.first(), on_nodes) {
                    (Some(url), _) => Self { sentence: addresses.join("\n"), url: url.clone() },
                    (None, Some(nodes)) => Self {
                        sentence: format!(
                            "the load balancer has no address yet; meanwhile {nodes} with any node as NODE"
                        ),
                        url: nodes,
                    },
                    (None, None) => {
                        Self { sentence: "the load balancer has no address yet".to_owned(), url: inside }
                    }
                }
            }
        }
    }
}

fn addresses(service: &Value, scheme: &str, port: i32) -> Vec<String> {
    let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    let host = |entry: &Value| {
        let name = entry["hostname"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        let address = entry["ip"].as_str().filter(|address| !address.is_empty());
        name.or_else(|| address.map(|ip| if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }))
    };
    let is_usual = matches!((scheme, port), ("http", 80) | ("https", 443));
    let suffix = if is_usual { String::new() } else { format!(":{port}") };
    ingress.into_iter().flatten().filter_map(host).map(|host| format!("{scheme}://{host}{suffix}")).collect()
}

fn gateway(route: &RouteSpec) -> String {
    let gateways: Vec<&str> = route.parent_refs.iter().map(|parent| parent.name.as_str()).collect();
    let hosts = if route.hostnames.is_empty() {
        "the host names of its listeners".to_owned()
    } else {
        route.hostnames.join(", ")
    };
    format!("{hosts} by Gateway {}; the condition Routed says whether it is taken", gateways.join(", "))
}

fn certificate(TlsSpec { secret_ref, client_ca_secret_ref }: &TlsSpec) -> String {
    let own = format!("certificate of Secret {}", secret_ref.name);
    match client_ca_secret_ref {
        None => own,
        Some(authorities) => format!(
            "{own}; uploads need a client certificate that ca.crt of Secret {} vouches for",
            authorities.name
        ),
    }
}

fn credentials(name: Option<&str>, secret: Option<&Secret>) -> String {
    let Some(name) = name else {
        return "none: whoever reaches the Service may write (spec.access.write names no Secret)".to_owned();
    };
    match secret {
        Some(Secret::Known(values)) => {
            let keys: Vec<&str> = KEYS.into_iter().filter(|key| values.contains_key(*key)).collect();
            if keys.is_empty() {
                return format!("Secret {name}, which has none of {}", KEYS.join(", "));
            }
            format!("Secret {name} with {}", keys.join(", "))
        }
        Some(Secret::Missing) => format!("Secret {name}, which does not exist: the pods wait for it"),
        Some(Secret::Unseen(error)) => format!("Secret {name}; its keys are not known: {error}"),
        None => format!("Secret {name}"),
    }
}

/// A command line for bash. The credentials are read when it runs, and go into a header: in a URL some characters would have to be
/// encoded. ffmpeg neither looks at the server's certificate here nor shows one: its HLS muxer hands no such option on.
fn command(
    observed: &Observed,
    spec: &MediaOriginSpec,
    url: &str,
    secret: Option<(&str, &Secret)>,
) -> String {
    let header = match secret.map(|(name, secret)| header(&observed.namespace, name, secret)) {
        None => Header::default(),
        Some(Some(header)) => header,
        Some(None) => {
            return "  none: the Secret has a key pair of AWS only, which ffmpeg cannot sign with; any SDK of MediaStore can \
                    (docs/migrating-from-mediastore.md)\n"
                .to_owned();
        }
    };
    let tls = spec.service.tls.as_ref();
    let mut text = if tls.is_some_and(|tls| tls.client_ca_secret_ref.is_some()) {
        let value = header.value.map(|value| format!("-H \"{value}\""));
        let certificate = "--cacert CA.pem --cert CLIENT.pem --key CLIENT-KEY.pem".to_owned();
        let url = format!("\"{url}/{FOLDER}/\"");
        let lines = [Some("curl -T FILE".to_owned()), Some(certificate), value, Some(url)];
        format!(
            "{}\n  ffmpeg shows no client certificate: take an encoder that does.\n",
            lines.into_iter().flatten().collect::<Vec<_>>().join(CONTINUED)
        )
    } else {
        let program =
            "ffmpeg -re -i INPUT -c copy -f hls -hls_time 2 -method PUT -http_persistent 1".to_owned();
        let value = header.value.map(|value| format!("-headers \"{value}\"$'\\r\\n'"));
        let lines = [Some(program), value, Some(format!("\"{url}/{FOLDER}/index.m3u8\""))];
        lines.into_iter().flatten().collect::<Vec<_>>().join(CONTINUED) + "\n"
    };
    text.insert_str(0, "  ");
    text + &header.remark
}

/// Between two lines of a command.
const CONTINUED: &str = " \\\n    ";

/// What a request carries to be admitted.
#[derive(Default)]
struct Header {
    /// The header, with the shell's expressions for what is secret.
    value: Option<String>,
    /// What is to be put in by hand.
    remark: String,
}

/// Nothing where only a signature would do.
fn header(namespace: &str, name: &str, secret: &Secret) -> Option<Header> {
    let read = |key: &str| {
        let key = key.replace('.', "\\.");
        format!("kubectl get secret -n {namespace} {name} -o 'jsonpath={{.data.{key}}}' | base64 -d")
    };
    let has = |key: &str| match secret {
        Secret::Known(values) => values.contains_key(key),
        // What a Secret of the usual type has.
        Secret::Missing | Secret::Unseen(_) => key == "username",
    };
    let basic =
        |words: &str| format!("Authorization: Basic $(printf '%s:%s' {words} | base64 | tr -d '\\n')");
    let known = |value: String| Some(Header { value: Some(value), remark: String::new() });
    if has("username") {
        known(basic(&format!("\"$({})\" \"$({})\"", read("username"), read("password"))))
    } else if has("token") {
        known(format!("Authorization: Bearer $({})", read("token")))
    } else if has("publishers.yaml") {
        let remark = format!(
            "\n  USERNAME and PASSWORD are those of a publisher in the file that this prints:\n    {}\n",
            read("publishers.yaml")
        );
        Some(Header { value: Some(basic("USERNAME PASSWORD")), remark })
    } else if has("accessKeyId") {
        None
    } else {
        Some(Header::default())
    }
}

fn shown(values: &BTreeMap<String, Vec<u8>>) -> String {
    let known = KEYS.into_iter().filter_map(|key| Some((key, values.get(key)?)));
    let rows: Vec<_> =
        known.map(|(key, value)| vec![key.to_owned(), String::from_utf8_lossy(value).into_owned()]).collect();
    columns("  ", &rows)
}
