//! `/api/v1/images`: pictures that tools made.

use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use illumine_store::blobs::Blobs;
use illumine_types::Problem;

use super::{get, resource};
use crate::auth::Caller;
use crate::error::Result;
use crate::state::State;
use crate::{blob, ids};

pub fn configure(config: &mut ServiceConfig) {
    config.service(resource("/images/{key}", "GET").route(get().to(show)));
}

/// A picture of a document. Its name is the hash of its bytes, so it never
/// changes and cannot be guessed.
#[utoipa::path(
    get,
    path = "/api/v1/images/{key}",
    tag = "pictures",
    responses(
        (status = 200, description = "The picture", content_type = "image/*"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    request: HttpRequest,
    key: Path<String>,
    state: Data<State>,
    _caller: Caller,
) -> Result<HttpResponse> {
    let key = ids::blob(&key)?;
    blob::serve(&request, &state.store, &key, Blobs::image_key(&key)).await
}
