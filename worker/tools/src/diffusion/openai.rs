//! OpenAI's images API, and servers like it: `POST {base}/images/generations`.

use std::time::Duration;

use async_trait::async_trait;
use illumine_types::api::ImageOptions;
use illumine_types::tool::ToolRequest;
use reqwest::Method;
use serde_json::json;

use super::{parameters, prompt};
use crate::service::ImagesService;
use crate::toolbox::backend::{Backend, Made};
use crate::{ToolContext, ToolError};

#[derive(Debug)]
pub(crate) struct OpenAiImages {
    pub images: ImagesService,
    pub timeout: Duration,
}

/// Hosted models know three shapes each; other servers take any size.
pub(crate) fn size(model: &str, image: &ImageOptions) -> String {
    let (width, height) = (image.width.unwrap_or(1024), image.height.unwrap_or(1024));
    let shapes = if model.starts_with("gpt-image") {
        ["1024x1024", "1536x1024", "1024x1536"]
    } else if model.starts_with("dall-e-3") {
        ["1024x1024", "1792x1024", "1024x1792"]
    } else {
        return format!("{width}x{height}");
    };
    let [square, wide, tall] = shapes;
    let ratio = f64::from(width) / f64::from(height.max(1));
    let shape = match ratio {
        ratio if ratio > 1.2 => wide,
        ratio if ratio < 1.0 / 1.2 => tall,
        _ => square,
    };
    shape.into()
}

/// `gpt-image-*` answer in base64 always and reject the field.
pub(crate) fn wants_format(model: &str) -> bool {
    !model.starts_with("gpt-image")
}

#[async_trait]
impl Backend for OpenAiImages {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn time_limit(&self) -> Duration {
        self.timeout
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let model = &self.images.model;
        let mut body = json!({
            "model": model,
            "prompt": prompt(request)?,
            "size": size(model, &context.options.image),
            "n": 1,
        });
        if let (true, Some(fields)) = (wants_format(model), body.as_object_mut()) {
            fields.insert("response_format".into(), json!("b64_json"));
        }
        let service = &self.images.service;
        let request = service.authorised(Method::POST, "/images/generations");
        let answer = service.json(request.json(&body)).await?;
        Ok(Made {
            picture: self.images.picture(answer).await?,
            model: Some(model.clone()),
            seed: None,
            parameters: parameters(&body),
            source: None,
        })
    }
}
