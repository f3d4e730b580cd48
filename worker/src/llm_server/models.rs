//! What is served, and whether it works.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{ApiError, Server};

pub async fn list(State(server): State<Arc<Server>>) -> Json<Value> {
    let adapters = server.engine.model().adapter_names();
    let adapted = adapters.iter().map(|name| describe(&server, Some(name)));
    let models: Vec<Value> = std::iter::once(describe(&server, None))
        .chain(adapted)
        .collect();
    Json(json!({"object": "list", "data": models}))
}

pub async fn get(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let adapters = server.engine.model().adapter_names();
    if id == server.name {
        return Ok(Json(describe(&server, None)));
    }
    match adapters.contains(&id) {
        true => Ok(Json(describe(&server, Some(&id)))),
        false => Err(ApiError::no_model(&id, &server.name, &adapters)),
    }
}

pub async fn health(State(server): State<Arc<Server>>) -> Result<Json<Value>, ApiError> {
    if !server.engine.is_running() {
        return Err(ApiError::stopped());
    }
    Ok(Json(json!({"status": "ok", "model": server.name})))
}

/// The model, or an adapter of it: then `parent` names the model.
fn describe(server: &Server, adapter: Option<&str>) -> Value {
    json!({
        "id": adapter.unwrap_or(&server.name),
        "parent": adapter.map(|_| &server.name),
        "object": "model",
        "created": server.created,
        "owned_by": "illumine",
        "max_model_len": server.engine.model().folder().config.context_length(),
        // As hosted services name them; a caller may ask before it sends.
        "capabilities": {
            "vision": server.engine.model().sees_pictures(),
            "constrain_tags": true,
        },
    })
}
