//! `spec.disk` and `spec.objectStore`.

use super::{is_label, is_object_name, quantity};
use crate::config::{DiskConfig, ObjectStoreConfig};
use crate::names;
use crate::problem::Problem;
use crate::units::Bytes;
use crate::v1alpha1::{DiskSpec, ObjectStoreSpec};

/// Smallest `spec.disk.size`.
pub const DISK_SIZE_MIN: Bytes = Bytes(64 * Bytes::MIB);
/// Share of a volume that objects may take, in percent: file systems of that size keep 2 to 7 % for themselves.
pub const DISK_SHARE_PERCENT: u64 = 90;
/// Characters of a URL at most.
const URL_LENGTH_MAX: usize = 1_024;

/// The disk of a spec; what is wrong with it is added to `problems`.
pub(super) fn disk(spec: &DiskSpec, problems: &mut Vec<Problem>) -> Option<DiskConfig> {
    if let Some(class) = &spec.storage_class_name
        && !is_object_name(class)
    {
        let message = format!("\"{class}\" is not the name of a StorageClass");
        problems.push(Problem::new("spec.disk.storageClassName", message));
    }
    let field = "spec.disk.size";
    let size = quantity(field, &spec.size, problems)?;
    if size < DISK_SIZE_MIN {
        let message = format!("{size} is too little: a disk below {DISK_SIZE_MIN} holds no media");
        problems.push(Problem::new(field, message));
        return None;
    }
    Some(DiskConfig {
        dir: names::DISK_DIR.to_owned(),
        // Whole mebibytes: a number that people read.
        size_bytes: size.get() / 100 * DISK_SHARE_PERCENT / Bytes::MIB * Bytes::MIB,
        is_persistent: spec.storage_class_name.is_some(),
    })
}

/// The object store of a spec; what is wrong with it is added to `problems`.
pub(super) fn object_store(spec: &ObjectStoreSpec, problems: &mut Vec<Problem>) -> ObjectStoreConfig {
    let mut wrong = |field: &str, message: String| {
        problems.push(Problem::new(format!("spec.objectStore.{field}"), message));
    };
    let ObjectStoreSpec { url, endpoint, region, credentials_secret_ref } = spec;
    if let Some(message) = url_problem(url) {
        wrong("url", message);
    }
    let is_file = url.starts_with("file:");
    if let Some(endpoint) = endpoint {
        if is_file {
            wrong("endpoint", "a folder has no endpoint".to_owned());
        } else if !is_endpoint(endpoint) {
            // Not the value: what looks like an address with a user may hold a password.
            wrong("endpoint", "not an address: write e.g. https://minio.storage:9000".to_owned());
        }
    }
    if let Some(region) = region {
        if !url.starts_with("s3:") {
            wrong("region", "region is for s3:// only: remove it".to_owned());
        } else if !is_label(region) || region.len() > 63 {
            wrong("region", format!("\"{region}\" is not a region: write e.g. eu-west-1"));
        }
    }
    if let Some(secret) = credentials_secret_ref {
        if is_file {
            wrong("credentialsSecretRef", "a folder has no credentials".to_owned());
        } else if !is_object_name(&secret.name) {
            wrong("credentialsSecretRef.name", format!("\"{}\" is not the name of a Secret", secret.name));
        }
    }
    ObjectStoreConfig {
        url: url.clone(),
        endpoint: endpoint.clone(),
        region: region.clone(),
        credentials_dir: credentials_secret_ref.as_ref().map(|_| names::OBJECT_STORE_DIR.to_owned()),
    }
}

fn url_problem(url: &str) -> Option<String> {
    let message = "not the URL of a bucket: write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or \
                   outside a cluster file:///folder";
    let known = ["s3", "gs", "az", "file"];
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| known.contains(scheme)) else {
        return Some(message.to_owned());
    };
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_printable = path.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    let is_there = if scheme == "file" { bucket.is_empty() && !path.is_empty() } else { is_bucket(bucket) };
    if !is_there || !is_printable || url.len() > URL_LENGTH_MAX {
        return Some(message.to_owned());
    }
    let odd = |folder: &str| folder.is_empty() || folder == "." || folder == "..";
    (!path.is_empty() && path.split('/').any(odd))
        .then(|| format!("\"{url}\": the prefix has no empty folder, no . and no .."))
}

fn is_bucket(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 222 && bytes.iter().all(|byte| inner(*byte)) && edge(bytes.first()) && edge(bytes.last())
}

fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|_| text.len() <= 512) else { return false };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let of = |text: &str, marks: &[u8]| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
    };
    !host.is_empty() && of(host, b".:[]_-") && of(path, b"._~/-")
}
