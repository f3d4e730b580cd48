//! Who asks, and what they may.
//!
//! Every call under `/api/v1` passes [`require`], except those that
//! [`is_open`] names. A key comes in `Authorization: Bearer`, or a session in
//! a cookie; a cookie travels by itself, so what changes something must then
//! come from our own pages ([`origin`]).

pub mod admin_key;
pub mod attempts;
pub mod origin;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::future::{Ready, ready};
use illumine_store::keys::ApiKey;
use illumine_types::api::Role;
use illumine_types::{ApiKeyId, Job};

use crate::error::{ApiError, Result};
use crate::state::State;

/// Name of the browser session's cookie.
pub const COOKIE: &str = "illumine_session";

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `None` when sign-in is off.
    pub key: Option<ApiKey>,
    pub role: Role,
}

impl Caller {
    /// The owner of what this caller creates.
    #[must_use]
    pub fn owner(&self) -> Option<ApiKeyId> {
        self.key.as_ref().map(|key| key.id.clone())
    }

    /// Members see their own jobs alone.
    #[must_use]
    pub fn may_see(&self, job: &Job) -> bool {
        self.role == Role::Admin || (job.owner.is_some() && job.owner == self.owner())
    }

    fn nobody_in_particular() -> Self {
        Self {
            key: None,
            role: Role::Admin,
        }
    }
}

impl From<ApiKey> for Caller {
    fn from(key: ApiKey) -> Self {
        Self {
            role: key.role,
            key: Some(key),
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or(ApiError::Unauthorized))
    }
}

/// A caller with the role `admin`.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload).into_inner();
        ready(caller.and_then(|caller| match caller.role {
            Role::Admin => Ok(Self(caller)),
            Role::Member => Err(ApiError::Forbidden(
                "this needs a key with the role `admin`",
            )),
        }))
    }
}

/// Signing in and asking who one is need no key.
fn is_open(request: &ServiceRequest) -> bool {
    request.path() == "/api/v1/session"
}

/// Lets a request through with its [`Caller`], or answers why not: 401 without
/// a valid key, 403 from another site.
///
/// # Errors
/// What the handlers behind it fail with.
pub async fn require<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> std::result::Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    match admit(&request).await {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(refusal) => Ok(request.error_response(refusal).map_into_right_body()),
    }
}

async fn admit(request: &ServiceRequest) -> Result<()> {
    let state = state_of(request)?;
    if let Some(caller) = identify(&state, request).await? {
        request.extensions_mut().insert(caller);
    } else if !is_open(request) {
        return Err(ApiError::Unauthorized);
    }
    Ok(())
}

fn state_of(request: &ServiceRequest) -> Result<web::Data<State>> {
    request
        .app_data::<web::Data<State>>()
        .cloned()
        .ok_or_else(|| ApiError::internal("the server has no state"))
}

async fn identify(state: &State, request: &ServiceRequest) -> Result<Option<Caller>> {
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if !state.auth {
        // Without keys, the only fence is where a request comes from: another
        // site's page, or a name made to resolve to this machine.
        origin::require_loopback_host(request.headers())?;
        if changes {
            origin::refuse_other_sites(request.headers())?;
        }
        return Ok(Some(Caller::nobody_in_particular()));
    }
    if let Some(secret) = bearer(request)? {
        let key = state.store.keys().authenticate(secret).await?;
        return match key {
            Some(key) => Ok(Some(key.into())),
            None => Err(ApiError::BadKey("this key does not exist or was revoked")),
        };
    }
    if changes && is_open(request) {
        origin::refuse_other_sites(request.headers())?;
    }
    let Some(cookie) = request.cookie(COOKIE) else {
        return Ok(None);
    };
    let Some(key) = state.store.sessions().check(cookie.value()).await? else {
        return Ok(None);
    };
    if changes && !is_open(request) {
        origin::require_own_site(request.headers())?;
    }
    Ok(Some(key.into()))
}

fn bearer(request: &ServiceRequest) -> Result<Option<&str>> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let malformed = ApiError::BadKey("the Authorization header must be `Bearer <key>`");
    let Some((scheme, secret)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
        return Err(malformed);
    };
    if !scheme.eq_ignore_ascii_case("bearer") || secret.trim().is_empty() {
        return Err(malformed);
    }
    Ok(Some(secret.trim()))
}
