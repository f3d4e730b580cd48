//! `/api/v1/session`: a browser signs in with a key and gets a cookie.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::web::{self, Data, Json, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use illumine_types::Problem;
use illumine_types::api::{Session, SignIn};

use super::{get, resource};
use crate::auth::{COOKIE, Caller};
use crate::body::{self, SMALL_LIMIT};
use crate::error::{ApiError, Result};
use crate::state::State;
use crate::validate;

const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

pub fn configure(config: &mut ServiceConfig) {
    config.service(
        resource("/session", "GET, POST, DELETE")
            .route(get().to(who))
            .route(web::post().to(sign_in))
            .route(web::delete().to(sign_out)),
    );
}

/// Whether one is signed in, and as what. Needs no key.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "session",
    security(()),
    responses((status = 200, body = Session)),
)]
pub async fn who(state: Data<State>, caller: Option<Caller>) -> Json<Session> {
    Json(session(&state, caller.as_ref()))
}

/// Signs a browser in: the answer sets a cookie that scripts cannot read.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    security(()),
    request_body = SignIn,
    responses(
        (status = 200, body = Session, headers(("Set-Cookie" = String))),
        (status = 401, description = "Not a key", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many failed attempts", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn sign_in(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse> {
    let address = address(&request);
    state.attempts.check(address)?;
    let json = body::read_json(&request, payload, SMALL_LIMIT).await?;
    let asked: SignIn = validate::json::parse(&json)?;
    if !state.auth {
        return Ok(HttpResponse::Ok().json(session(&state, None)));
    }
    let Some(key) = state.store.keys().authenticate(asked.key.trim()).await? else {
        state.attempts.failed(address);
        return Err(ApiError::BadKey("this key does not exist or was revoked"));
    };
    let token = state.store.sessions().open(&key, LIFETIME).await?;
    let caller = Caller::from(key);
    Ok(HttpResponse::Ok()
        .cookie(cookie(&request, token, LIFETIME))
        .json(session(&state, Some(&caller))))
}

/// Signs the browser out.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "session",
    security(()),
    responses((status = 204, description = "Signed out")),
)]
pub async fn sign_out(request: HttpRequest, state: Data<State>) -> Result<HttpResponse> {
    if let Some(held) = request.cookie(COOKIE) {
        state.store.sessions().close(held.value()).await?;
    }
    let expired = cookie(&request, String::new(), Duration::ZERO);
    Ok(HttpResponse::NoContent().cookie(expired).finish())
}

fn session(state: &State, caller: Option<&Caller>) -> Session {
    Session {
        signed_in: caller.is_some() || !state.auth,
        auth: state.auth,
        role: caller.map(|caller| caller.role),
    }
}

fn cookie(request: &HttpRequest, token: String, lifetime: Duration) -> Cookie<'static> {
    let is_https = request.connection_info().scheme() == "https";
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or_default();
    Cookie::build(COOKIE, token)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_https)
        .max_age(actix_web::cookie::time::Duration::seconds(seconds))
        .finish()
}

/// The peer's, not what a header claims: a guesser would change the header.
fn address(request: &HttpRequest) -> IpAddr {
    request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}
