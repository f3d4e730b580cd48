//! Ids in paths: a malformed one is a 400, an unknown one a 404.

use illumine_types::dataset::DatasetId;
use illumine_types::{ApiKeyId, BlobKey, JobId, JobKind};

use crate::error::{ApiError, Result};

/// A document's id, which is its generation's.
///
/// # Errors
/// `invalid_id` if it is none.
pub fn generation(text: &str) -> Result<JobId> {
    of_kinds(text, &[JobKind::Generation])
}

/// The id of a job that the generation routes show: a generation or a redraw.
///
/// # Errors
/// `invalid_id` if it is none.
pub fn drawing_job(text: &str) -> Result<JobId> {
    of_kinds(text, &[JobKind::Generation, JobKind::Redraw])
}

/// A training run's id.
///
/// # Errors
/// `invalid_id` if it is none.
pub fn training_run(text: &str) -> Result<JobId> {
    of_kinds(text, &[JobKind::TrainingRun])
}

/// A dataset's id: `demo` or an uploaded one's.
///
/// # Errors
/// `invalid_id` if it is none.
pub fn dataset(text: &str) -> Result<DatasetId> {
    DatasetId::parse(text).map_err(|error| invalid("id", error))
}

/// Steps done, as a checkpoint's path names it.
///
/// # Errors
/// `invalid_id` if it is no number.
pub fn step(text: &str) -> Result<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let step = text.parse().ok().filter(|_| is_number);
    step.ok_or_else(|| invalid("step", "a checkpoint is named by its step, a number"))
}

fn of_kinds(text: &str, kinds: &[JobKind]) -> Result<JobId> {
    let id = JobId::parse(text).map_err(|error| invalid("id", error))?;
    if kinds.contains(&id.kind()) {
        return Ok(id);
    }
    let detail = format!(
        "`{id}` is the id of another kind of job ({})",
        id.kind().as_str()
    );
    Err(ApiError::InvalidId {
        field: "id",
        detail,
    })
}

/// # Errors
/// `invalid_id` if it is none.
pub fn blob(text: &str) -> Result<BlobKey> {
    BlobKey::parse(text).map_err(|error| invalid("key", error))
}

/// # Errors
/// `invalid_id` if it is none.
pub fn api_key(text: &str) -> Result<ApiKeyId> {
    let ulid = text.strip_prefix("key_").unwrap_or_default();
    match ulid::Ulid::from_string(ulid) {
        Ok(_) => Ok(ApiKeyId(text.to_owned())),
        Err(_) => Err(invalid("id", "a key's id is `key_` and a ULID")),
    }
}

fn invalid(field: &'static str, detail: impl ToString) -> ApiError {
    ApiError::InvalidId {
        field,
        detail: detail.to_string(),
    }
}
