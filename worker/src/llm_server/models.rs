//! What is served, and whether it works.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{ApiError, Server};

pub async fn list(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [describe(&server)]}))
}

pub async fn get(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if id != server.name {
        return Err(ApiError::no_model(&id, &server.name));
    }
    Ok(Json(describe(&server)))
}

pub async fn health(State(server): State<Arc<Server>>) -> Result<Json<Value>, ApiError> {
    if !server.engine.is_running() {
        return Err(ApiError::stopped());
    }
    Ok(Json(json!({"status": "ok", "model": server.name})))
}

fn describe(server: &Server) -> Value {
    json!({
        "id": server.name,
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
