//! `POST /api/v1/datasets`.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use illumine_types::Problem;
use illumine_types::dataset::{Dataset, DatasetFile, DatasetId, UPLOAD_BYTES};

use super::form::Upload;
use super::{check, demo};
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::state::State;

/// The multipart form of an upload.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct DatasetForm {
    /// For people; 1 to 100 characters, and no other dataset has it.
    name: String,
    /// `.parquet` or `.jsonl`, at most 16.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
}

/// Uploads a dataset: rows in the columns `prompt`, `images`, `data_source` and
/// `extra_info {split, image_num, tools, question, index}`.
///
/// At most 256 MiB, 16 files and 200,000 rows; every row has a split, pictures are in
/// the rows themselves, and a prompt has at most 32,000 characters. Every row is checked
/// before anything is stored. What is stored never changes.
#[utoipa::path(
    post,
    path = "/api/v1/datasets",
    tag = "training",
    request_body(content = DatasetForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "Stored; a run's `dataset` names its `id`", body = Dataset, headers(("Location" = String))),
        (status = 413, description = "More bytes than are taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A row cannot be used, in words that name file, row and column; nothing was stored", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
    _admin: Admin,
) -> Result<HttpResponse> {
    let limit = usize::try_from(UPLOAD_BYTES).unwrap_or(usize::MAX);
    let upload = Upload::read(&request, payload, limit).await?;
    // One at a time: no two take a name at once, and checking takes a processor.
    let permit = state
        .uploading
        .acquire()
        .await
        .map_err(ApiError::internal)?;
    check_name(&state, &upload.name).await?;
    let found = check::whole(&upload).await?;
    let files = upload.files.iter().zip(found.rows);
    let files: Vec<DatasetFile> = files
        .map(|(file, rows)| DatasetFile {
            name: file.name.clone(),
            bytes: file.bytes,
            rows,
        })
        .collect();
    let dataset = Dataset {
        id: DatasetId::generate(),
        name: upload.name,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        summary: found.summary,
        created_at: Some(chrono::Utc::now()),
    };
    state
        .store
        .datasets()
        .put(&dataset, upload.folder.path())
        .await?;
    drop(permit);
    let location = format!("/api/v1/datasets/{}", dataset.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(dataset))
}

/// A person finds a dataset by its name.
async fn check_name(state: &State, name: &str) -> Result<()> {
    let demo = demo::of(state).await?.dataset.clone();
    let mut all = state.store.datasets().list().await?;
    all.push(demo);
    let same = |other: &&Dataset| other.name.to_lowercase() == name.to_lowercase();
    match all.iter().find(same) {
        None => Ok(()),
        Some(other) => Err(ApiError::value(
            "name",
            format!(
                "the dataset {} has this name already: choose another, or delete that one",
                other.id
            ),
        )),
    }
}
