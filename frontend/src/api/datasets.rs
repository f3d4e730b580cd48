//! Datasets, for admins.

use illumine_types::api::Page;
use illumine_types::dataset::{Dataset, DatasetRows, Split};

use super::client::{self, delete, get};
use super::{ApiError, BASE};
use crate::state::filter::encoded;

/// `demo`, then those that were uploaded, newest first.
pub async fn datasets() -> Result<Vec<Dataset>, ApiError> {
    let page: Page<Dataset> = get("/datasets").await?;
    Ok(page.items)
}

pub async fn dataset(id: &str) -> Result<Dataset, ApiError> {
    get(&path(id)).await
}

pub async fn dataset_rows(
    id: &str,
    split: Split,
    offset: usize,
    limit: usize,
) -> Result<DatasetRows, ApiError> {
    let path = path(id);
    let split = split.as_str();
    get(&format!(
        "{path}/rows?split={split}&offset={offset}&limit={limit}"
    ))
    .await
}

pub async fn delete_dataset(id: &str) -> Result<(), ApiError> {
    delete(&path(id)).await
}

/// Sends files; `progress` hears of the share that has been sent, 0 to 1.
pub async fn upload_dataset(
    name: &str,
    files: &[web_sys::File],
    progress: impl Fn(f64) + 'static,
) -> Result<Dataset, ApiError> {
    let form = web_sys::FormData::new().map_err(ApiError::from_js)?;
    form.append_with_str("name", name)
        .map_err(ApiError::from_js)?;
    for file in files {
        form.append_with_blob_and_filename("file", file, &file.name())
            .map_err(ApiError::from_js)?;
    }
    client::send_form(&format!("{BASE}/datasets"), &form, progress).await
}

fn path(id: &str) -> String {
    // An id comes from the address bar.
    format!("/datasets/{}", encoded(id))
}
