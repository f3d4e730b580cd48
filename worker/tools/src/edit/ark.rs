//! SeedEdit on Volcengine Ark: `POST {base}/images/generations` with a picture.

use std::time::Duration;

use async_trait::async_trait;
use illumine_types::tool::ToolRequest;
use reqwest::Method;
use serde_json::json;

use super::order;
use crate::diffusion::ark::{add_version_3, is_version_3};
use crate::diffusion::parameters;
use crate::service::ImagesService;
use crate::toolbox::backend::{Backend, Made};
use crate::{ToolContext, ToolError};

#[derive(Debug)]
pub(crate) struct SeedEdit {
    pub images: ImagesService,
    pub timeout: Duration,
}

#[async_trait]
impl Backend for SeedEdit {
    fn name(&self) -> &'static str {
        "ark"
    }

    fn time_limit(&self) -> Duration {
        self.timeout
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let order = order(request, context).await?;
        let model = &self.images.model;
        // `adaptive` is SeedEdit's only size: the closest to the parent's
        let size = if is_version_3(model) {
            "adaptive"
        } else {
            "2K"
        };
        let mut body = json!({
            "model": model,
            "prompt": order.prompt,
            "image": format!("data:{};base64,{}", order.parent.mime, order.base64()),
            "size": size,
            "response_format": "b64_json",
            "watermark": false,
        });
        let seed = add_version_3(&mut body, model, context);
        let service = &self.images.service;
        let request = service.authorised(Method::POST, "/images/generations");
        let answer = service.json(request.json(&body)).await?;
        Ok(Made {
            picture: self.images.picture(answer).await?,
            model: Some(model.clone()),
            seed,
            parameters: parameters(&body),
            source: None,
        })
    }
}
