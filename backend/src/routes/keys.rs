//! `/api/v1/keys`: who may sign in. For administrators.

use actix_web::web::{self, Data, Json, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use illumine_store::keys::ApiKey;
use illumine_types::Problem;
use illumine_types::api::{CreatedKey, KeyInfo, NewKey, Page, Role};

use super::{get, resource};
use crate::auth::Admin;
use crate::body::{self, SMALL_LIMIT};
use crate::error::{ApiError, Result};
use crate::state::State;
use crate::{ids, validate};

/// Longest name, characters.
const NAME: usize = 100;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            resource("/keys", "GET, POST")
                .route(get().to(list))
                .route(web::post().to(create)),
        )
        .service(resource("/keys/{id}", "DELETE").route(web::delete().to(revoke)));
}

/// All keys, oldest first, without their secrets.
#[utoipa::path(
    get,
    path = "/api/v1/keys",
    tag = "administration",
    responses((status = 200, body = Page<KeyInfo>)),
)]
pub async fn list(state: Data<State>, _admin: Admin) -> Result<Json<Page<KeyInfo>>> {
    let keys = state.store.keys().list().await?;
    Ok(Json(Page {
        items: keys.into_iter().map(info).collect(),
        next_cursor: None,
    }))
}

/// Makes a key. Its secret is told in this answer only.
#[utoipa::path(
    post,
    path = "/api/v1/keys",
    tag = "administration",
    request_body = NewKey,
    responses(
        (status = 201, body = CreatedKey),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
    _admin: Admin,
) -> Result<HttpResponse> {
    let json = body::read_json(&request, payload, SMALL_LIMIT).await?;
    let asked: NewKey = validate::json::parse(&json)?;
    let name = asked.name.trim();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(ApiError::value(
            "name",
            format!("expected 1 to {NAME} characters on one line"),
        ));
    }
    let created = state.store.keys().create(name, asked.role).await?;
    Ok(HttpResponse::Created().json(CreatedKey {
        key: info(created.key),
        secret: created.secret,
    }))
}

/// Revokes a key with its sessions, at once.
#[utoipa::path(
    delete,
    path = "/api/v1/keys/{id}",
    tag = "administration",
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the last administrator's", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn revoke(id: Path<String>, state: Data<State>, _admin: Admin) -> Result<HttpResponse> {
    let id = ids::api_key(&id)?;
    let keys = state.store.keys().list().await?;
    let mut admins = keys.iter().filter(|key| key.role == Role::Admin);
    if admins.next().is_some_and(|key| key.id == id) && admins.next().is_none() {
        let detail = "this is the last administrator's key: make another first";
        return Err(ApiError::WrongState(detail.into()));
    }
    state.store.keys().revoke(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn info(key: ApiKey) -> KeyInfo {
    KeyInfo {
        id: key.id,
        name: key.name,
        role: key.role,
        created_at: key.created_at,
    }
}
