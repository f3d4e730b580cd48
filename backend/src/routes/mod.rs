//! The routes; one resource a file.

pub mod capabilities;
pub mod datasets;
pub mod documents;
mod following;
pub mod generations;
pub mod health;
pub mod images;
pub mod inputs;
pub mod keys;
pub mod openapi;
pub mod queue;
pub mod redraw;
pub mod rewards;
pub mod session;
pub mod training_runs;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, guard};

use crate::auth;
use crate::error::ApiError;
use crate::portal;

/// Everything that the server answers.
pub fn configure(config: &mut ServiceConfig) {
    let api = web::scope("/api")
        .wrap(from_fn(auth::require))
        .service(
            web::scope("/v1")
                .configure(generations::configure)
                .configure(documents::configure)
                .configure(inputs::configure)
                .configure(images::configure)
                .configure(capabilities::configure)
                .configure(queue::configure)
                .configure(training_runs::configure)
                .configure(rewards::configure)
                .configure(datasets::configure)
                .configure(keys::configure)
                .configure(session::configure),
        )
        .default_service(web::to(unknown));
    config
        .service(api)
        .configure(health::configure)
        .configure(openapi::configure)
        .default_service(web::to(portal::serve));
}

/// A resource that answers other methods than its own with 405.
fn resource(path: &str, allowed: &'static str) -> Resource {
    let refuse = move |request: HttpRequest| {
        let path = request.path().chars().take(200).collect();
        let allowed = allowed.to_owned();
        async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed { path, allowed }) }
    };
    web::resource(path).default_service(web::to(refuse))
}

/// GET, and HEAD with it.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn unknown(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let path = request.path().chars().take(200).collect();
    Err(ApiError::UnknownRoute(path))
}
