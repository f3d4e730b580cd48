//! `/openapi.json` and `/docs`: the interface, described by the code itself.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, ServiceConfig};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    capabilities, datasets, documents, generations, get, health, images, inputs, keys, queue,
    redraw, resource, rewards, session, training_runs,
};
use crate::auth::COOKIE;
use crate::error::codes;

/// Swagger UI sets styles of its own and draws its icons from `data:`.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(title = "Illumine", description = "From a prompt to an illustrated document."),
    paths(
        generations::create::create,
        generations::list::list,
        generations::one::get_one,
        generations::events::events,
        generations::one::cancel,
        generations::one::retry,
        generations::one::delete,
        documents::show,
        redraw::redraw,
        inputs::upload,
        inputs::show,
        images::show,
        capabilities::capabilities,
        capabilities::models,
        training_runs::create::create,
        training_runs::list::list,
        training_runs::one::get_one,
        training_runs::events::events,
        training_runs::metrics::metrics,
        training_runs::tensorboard::events,
        training_runs::samples::samples,
        training_runs::checkpoints::list,
        training_runs::checkpoints::file,
        training_runs::checkpoints::choose,
        training_runs::one::stop,
        training_runs::one::resume,
        training_runs::one::delete,
        training_runs::policy::show,
        training_runs::policy::clear,
        rewards::score,
        datasets::create::create,
        datasets::list::list,
        datasets::one::get_one,
        datasets::rows::rows,
        datasets::one::delete,
        session::who,
        session::sign_in,
        session::sign_out,
        keys::list,
        keys::create,
        keys::revoke,
        queue::queue,
        queue::pause,
        queue::resume,
        queue::workers,
        health::healthz,
        health::readyz,
        health::metrics,
    ),
    modifiers(&Codes, &Security),
    tags(
        (name = "generations", description = "Asking for a document and following it"),
        (name = "documents", description = "The result"),
        (name = "pictures", description = "Pictures brought and made"),
        (name = "capabilities", description = "What this installation can do now"),
        (name = "training", description = "Training a policy, and choosing the one that writes; for the role `admin`"),
        (name = "session", description = "Signing a browser in"),
        (name = "administration", description = "Keys, queues, workers; for the role `admin`"),
        (name = "operations", description = "For those who run this"),
    ),
)]
struct Api;

/// Lists the error codes in the description.
struct Codes;

impl Modify for Codes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let mut text = String::from(
            "From a prompt to an illustrated document.\n\n\
             Errors are problem details (RFC 9457) with a stable `code`:\n\n\
             | code | status | meaning |\n|---|---|---|\n",
        );
        for row in codes::ALL {
            let line = format!(
                "| `{}` | {} | {} |\n",
                row.code,
                row.status.as_u16(),
                row.title
            );
            text.push_str(&line);
        }
        openapi.info.description = Some(text);
    }
}

/// A key in a header, or a session's cookie.
struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let cookie = ApiKey::Cookie(ApiKeyValue::new(COOKIE));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
        let none: [&str; 0] = [];
        openapi.security = Some(vec![
            SecurityRequirement::new("key", none),
            SecurityRequirement::new("session", none),
        ]);
    }
}

static JSON: LazyLock<String> =
    LazyLock::new(|| Api::openapi().to_pretty_json().unwrap_or_default());

/// The description as JSON.
#[must_use]
pub fn json() -> &'static str {
    &JSON
}

pub fn configure(config: &mut ServiceConfig) {
    let policy = (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(DOCS_POLICY),
    );
    let docs = web::scope("/docs")
        .wrap(DefaultHeaders::new().add(policy))
        .service(SwaggerUi::new("/{_:.*}").config(Config::from("/openapi.json")));
    config
        .service(resource("/openapi.json", "GET").route(get().to(openapi)))
        .service(resource("/docs", "GET").route(get().to(docs_page)))
        .service(docs);
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(json())
}

async fn docs_page() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, "/docs/"))
        .finish()
}
