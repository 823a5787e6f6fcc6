//! Clients of the object stores, made from the options and the credentials of the moment.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::PaginatedListStore;
use object_store::memory::InMemory;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, HeaderMap, HeaderValue, ObjectStore, RetryConfig,
};

use super::folder::Folder;
use super::options::{Credentials, ObjectStoreOptions};
use super::place::{Place, Scheme};

/// A file of credentials at most; a key of a service account has about 2.4 KB.
const SECRET_BYTES_MAX: u64 = 65_536;
/// Idle connections are closed before the service does it: S3 waits for about 20 seconds.
const IDLE: std::time::Duration = std::time::Duration::from_secs(15);

/// A bucket, by what speaks to it.
#[derive(Clone, Debug)]
pub(super) enum Client {
    /// A store with attributes and conditional writes.
    Cloud {
        objects: Arc<dyn ObjectStore>,
        /// Lists page by page, where the store can.
        pages: Option<Pages>,
    },
    /// A local folder.
    Folder(Arc<Folder>),
}

/// A store that lists page by page.
#[derive(Clone)]
pub(super) struct Pages(pub(super) Arc<dyn PaginatedListStore>);

impl std::fmt::Debug for Pages {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Pages")
    }
}

/// Why no client can be made; the text is for the operator.
#[derive(Debug, thiserror::Error)]
#[error("object store {url}: {text}")]
pub struct OpenError {
    /// The bucket.
    pub url: String,
    /// What is wrong.
    pub text: String,
}

/// The secrets of a moment: file name → content. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// Reads what the options name; an error says which file cannot be read.
    pub(super) fn read(credentials: &Credentials) -> Result<Self, String> {
        let Credentials::Folder(folder) = credentials else { return Ok(Self::default()) };
        let mut found = BTreeMap::new();
        for name in NAMES {
            if let Some(text) = read(&folder.join(name))? {
                found.insert(name.to_owned(), text);
            }
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn need(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("the folder of credentials has no file {name}"))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Secrets({:?})", self.0.keys())
    }
}

const NAMES: [&str; 9] = [
    "accessKeyId",
    "secretAccessKey",
    "sessionToken",
    "serviceAccountKey",
    "accountName",
    "accountKey",
    "clientId",
    "clientSecret",
    "tenantId",
];

fn read(file: &FilePath) -> Result<Option<String>, String> {
    let shown = file.display();
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{shown}: {error}")),
        Ok(metadata) if metadata.len() > SECRET_BYTES_MAX => return Err(format!("{shown} is too long")),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    Ok(Some(text.trim().to_owned()))
}

/// Makes the client of a bucket. Nothing is sent yet.
pub(super) fn client(
    options: &ObjectStoreOptions,
    place: &Place,
    secrets: &Secrets,
) -> Result<Client, String> {
    // The whole process has one provider of cryptography; it is there already when this is not the first client.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = |error: object_store::Error| error.to_string();
    match place.scheme {
        Scheme::S3 => {
            let store = Arc::new(s3(options, place, secrets)?.build().map_err(text)?);
            Ok(Client::Cloud { objects: Arc::clone(&store) as _, pages: Some(Pages(store)) })
        }
        Scheme::Google => {
            let store = Arc::new(google(options, place, secrets)?.build().map_err(text)?);
            Ok(Client::Cloud { objects: Arc::clone(&store) as _, pages: Some(Pages(store)) })
        }
        Scheme::Azure => {
            let store = Arc::new(azure(options, place, secrets)?.build().map_err(text)?);
            Ok(Client::Cloud { objects: Arc::clone(&store) as _, pages: Some(Pages(store)) })
        }
        Scheme::Memory => Ok(Client::Cloud { objects: Arc::new(InMemory::new()), pages: None }),
        Scheme::File => Ok(Client::Folder(Arc::new(Folder::open(&place.bucket)?))),
    }
}

fn s3(options: &ObjectStoreOptions, place: &Place, secrets: &Secrets) -> Result<AmazonS3Builder, String> {
    let builder = match options.credentials {
        Credentials::Environment => AmazonS3Builder::from_env(),
        Credentials::Folder(_) => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(secrets.need("accessKeyId")?)
                .with_secret_access_key(secrets.need("secretAccessKey")?);
            match secrets.get("sessionToken") {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
        Credentials::Anonymous => AmazonS3Builder::new().with_skip_signature(true),
    };
    let mut builder =
        builder.with_bucket_name(&place.bucket).with_client_options(connection(options)?).with_retry(once());
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    Ok(builder)
}

fn google(
    options: &ObjectStoreOptions,
    place: &Place,
    secrets: &Secrets,
) -> Result<GoogleCloudStorageBuilder, String> {
    let builder = match options.credentials {
        Credentials::Environment => GoogleCloudStorageBuilder::from_env(),
        Credentials::Folder(_) => {
            GoogleCloudStorageBuilder::new().with_service_account_key(secrets.need("serviceAccountKey")?)
        }
        Credentials::Anonymous => GoogleCloudStorageBuilder::new().with_skip_signature(true),
    };
    // Otherwise it unpacks what we stored with `Content-Encoding: gzip`
    // (cloud.google.com/storage/docs/transcoding).
    let mut headers = HeaderMap::new();
    headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    let builder = builder
        .with_bucket_name(&place.bucket)
        .with_client_options(connection(options)?.with_default_headers(headers))
        .with_retry(once());
    Ok(match &options.endpoint {
        Some(endpoint) => builder.with_base_url(endpoint),
        None => builder,
    })
}

fn azure(
    options: &ObjectStoreOptions,
    place: &Place,
    secrets: &Secrets,
) -> Result<MicrosoftAzureBuilder, String> {
    let builder = match options.credentials {
        Credentials::Environment => MicrosoftAzureBuilder::from_env(),
        Credentials::Folder(_) => {
            let builder = MicrosoftAzureBuilder::new().with_account(secrets.need("accountName")?);
            match secrets.get("accountKey") {
                Some(key) => builder.with_access_key(key),
                None => builder.with_client_secret_authorization(
                    secrets.need("clientId")?,
                    secrets.need("clientSecret")?,
                    secrets.need("tenantId")?,
                ),
            }
        }
        Credentials::Anonymous => MicrosoftAzureBuilder::new().with_skip_signature(true),
    };
    let builder = builder
        .with_container_name(&place.bucket)
        .with_client_options(connection(options)?)
        .with_retry(once());
    Ok(match &options.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.clone()),
        None => builder,
    })
}

/// One attempt: we try again ourselves, where it is known whether the attempt before may still take effect.
fn once() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 0,
        retry_timeout: std::time::Duration::ZERO,
    }
}

fn connection(options: &ObjectStoreOptions) -> Result<ClientOptions, String> {
    let limits = &options.limits;
    let mut client = ClientOptions::new()
        .with_allow_http(options.allow_http)
        .with_connect_timeout(limits.connect)
        // Ours depend on the size of a body; this one would count that too.
        .with_timeout_disabled()
        .with_pool_idle_timeout(IDLE)
        .with_pool_max_idle_per_host(limits.reads_max + limits.writes_max);
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        // In an image of one program, say: what the operator gave is all there is.
        client = client.with_no_system_certificates(true);
        let is_plain = options.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if !is_plain && options.certificates.is_none() {
            return Err(
                "there are no root certificates on this system, and no file of them is given".to_owned()
            );
        }
    }
    if let Some(file) = &options.certificates {
        let shown = file.display();
        let pem = std::fs::read(file).map_err(|error| format!("{shown}: {error}"))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| format!("{shown}: {error}"))?;
        if certificates.is_empty() {
            return Err(format!("{shown} has no certificate"));
        }
        client = certificates.into_iter().fold(client, ClientOptions::with_root_certificate);
    }
    Ok(client)
}
