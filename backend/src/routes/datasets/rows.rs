//! `GET /api/v1/datasets/{id}/rows`.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use illumine_types::Problem;
use illumine_types::dataset::{Dataset, DatasetRow, DatasetRows, Split};

use super::{demo, known};
use crate::auth::Admin;
use crate::error::Result;
use crate::query::{Parameters, one_of};
use crate::state::State;

/// What is shown of a dataset's rows, in the files' order: the prompt's first 1,000
/// characters, tools, number of pictures, thumbnails of a row's first four pictures, and
/// where the row comes from.
#[utoipa::path(
    get,
    path = "/api/v1/datasets/{id}/rows",
    tag = "training",
    params(
        ("id" = String, Path, description = "`demo` or `dat_…`"),
        ("split" = Option<Split>, Query, description = "`train` if left out"),
        ("offset" = Option<usize>, Query, description = "Rows to pass over; 0 if left out"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50 if left out"),
    ),
    responses(
        (status = 200, body = DatasetRows),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn rows(
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<DatasetRows>> {
    let query = Parameters::read(&request, &["split", "offset", "limit"])?;
    let words = one_of(Split::ALL.map(Split::as_str));
    let named = |word: &str| Split::ALL.into_iter().find(|split| split.as_str() == word);
    let split = query.parsed("split", &words, named)?;
    let split = split.unwrap_or(Split::Train);
    let offset = query.parsed("offset", "a number of rows", |text| text.parse().ok())?;
    let offset = offset.unwrap_or(0);
    let limit = query.limit()?;
    let dataset = known(&state, &id).await?;
    let total = dataset.summary.by_split.get(&split);
    Ok(Json(DatasetRows {
        split,
        offset,
        total: total.copied().unwrap_or(0),
        items: items(&state, &dataset, split, offset, limit).await?,
    }))
}

async fn items(
    state: &State,
    dataset: &Dataset,
    split: Split,
    offset: usize,
    limit: usize,
) -> Result<Vec<DatasetRow>> {
    if !dataset.id.is_demo() {
        let datasets = state.store.datasets();
        return Ok(datasets.rows(dataset, split, offset, limit).await?);
    }
    let rows = demo::of(state).await?.rows.get(&split);
    let rows = rows.into_iter().flatten().skip(offset).take(limit);
    Ok(rows.cloned().collect())
}
