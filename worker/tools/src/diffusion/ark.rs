//! Seedream on Volcengine Ark: `POST {base}/images/generations`.

use std::time::Duration;

use async_trait::async_trait;
use illumine_types::api::ImageOptions;
use illumine_types::tool::ToolRequest;
use reqwest::Method;
use serde_json::{Value, json};

use super::{parameters, prompt, seed_or_fresh};
use crate::service::ImagesService;
use crate::toolbox::backend::{Backend, Made};
use crate::{ToolContext, ToolError};

/// Seeds are 31 bits.
const SEEDS: u64 = 1 << 31;

#[derive(Debug)]
pub(crate) struct Seedream {
    pub images: ImagesService,
    pub timeout: Duration,
}

/// Version 3 draws 512 to 2048 pixels a side and takes a seed and a guidance;
/// later versions draw larger and take neither.
pub(crate) fn is_version_3(model: &str) -> bool {
    model.contains("3-0") || model.contains("3.0")
}

fn size(model: &str, image: &ImageOptions) -> String {
    let (default, least, most) = if is_version_3(model) {
        (1024, 512, 2048)
    } else {
        (2048, 1024, 4096)
    };
    let side = |asked: Option<u32>| asked.unwrap_or(default).clamp(least, most);
    format!("{}x{}", side(image.width), side(image.height))
}

/// Adds what version 3 alone takes; yields the seed that was sent.
pub(crate) fn add_version_3(body: &mut Value, model: &str, context: &ToolContext) -> Option<u64> {
    if !is_version_3(model) {
        return None;
    }
    let seed = seed_or_fresh(context.options.seed) % SEEDS;
    if let Value::Object(fields) = body {
        fields.insert("seed".into(), json!(seed));
        if let Some(guidance) = context.options.image.guidance {
            fields.insert("guidance_scale".into(), json!(guidance.clamp(1.0, 10.0)));
        }
    }
    Some(seed)
}

#[async_trait]
impl Backend for Seedream {
    fn name(&self) -> &'static str {
        "ark"
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
