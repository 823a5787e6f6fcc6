//! MediaStore's own limits, for whoever moves step by step and wants no surprise on the way back.

use std::time::Duration;

use actix_web::http::StatusCode;
use mediaorigin_crds::policy::Visibility;

use crate::http::request::{MediaRequest, Reject, WriteRequest};
use crate::outcome::Outcome;

/// Bytes of an object at most.
pub const OBJECT_BYTES_MAX: u64 = 25 * 1_000_000;
/// Bytes of an object that can be read while it is uploaded at most.
pub const STREAMING_BYTES_MAX: u64 = 10 * 1_000_000;
/// How long an upload may take.
pub const UPLOAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long an object may live and still count as transient: these are not listed.
pub const TRANSIENT_MAX: Duration = Duration::from_mins(5);
/// Folders of a path at most.
const FOLDERS_MAX: usize = 10;

/// What is wrong with a request by MediaStore's limits.
pub fn check(request: &MediaRequest) -> Result<(), Reject> {
    match request {
        MediaRequest::Read(read) => check_path(read.path.as_str()),
        MediaRequest::Delete(delete) => check_path(delete.path.as_str()),
        MediaRequest::Write(write) => {
            check_path(write.path.as_str())?;
            check_length(write)
        }
        MediaRequest::List(_) | MediaRequest::Folder(_) | MediaRequest::Options(_) => Ok(()),
    }
}

/// Bytes that an upload may have.
pub fn bytes_max(visibility: Option<Visibility>) -> u64 {
    if visibility == Some(Visibility::Early) { STREAMING_BYTES_MAX } else { OBJECT_BYTES_MAX }
}

fn check_length(write: &WriteRequest) -> Result<(), Reject> {
    let most = bytes_max(write.visibility);
    if write.length.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    Ok(())
}

/// The refusal of what is larger than `most` bytes.
pub fn too_large(most: u64) -> Reject {
    Reject {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        outcome: Outcome::TooLarge,
        text: format!("the object is larger than MediaStore's limit of {most} bytes"),
    }
}

/// The length and the empty folders of a path are checked for every request.
fn check_path(path: &str) -> Result<(), Reject> {
    if path.split('/').count() > FOLDERS_MAX + 1 {
        return Err(Reject::malformed(format!("the path has more than MediaStore's {FOLDERS_MAX} folders")));
    }
    // The model's letters, and those that its guide adds.
    let is_known = |char: char| char.is_ascii_alphanumeric() || "_.-~=:/".contains(char);
    if !path.chars().all(is_known) {
        return Err(Reject::malformed(
            "the path has other characters than MediaStore's A-Z a-z 0-9 _ . - ~ = :",
        ));
    }
    Ok(())
}
