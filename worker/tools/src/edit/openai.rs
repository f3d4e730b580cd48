//! OpenAI's images API, and servers like it: `POST {base}/images/edits` as a
//! multipart form.

use std::time::Duration;

use async_trait::async_trait;
use illumine_types::api::ImageOptions;
use illumine_types::tool::ToolRequest;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Map, json};

use super::order;
use crate::diffusion::openai::{size, wants_format};
use crate::service::ImagesService;
use crate::toolbox::backend::{Backend, Made};
use crate::{ToolContext, ToolError};

#[derive(Debug)]
pub(crate) struct OpenAiEdits {
    pub images: ImagesService,
    pub timeout: Duration,
}

#[async_trait]
impl Backend for OpenAiEdits {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn time_limit(&self) -> Duration {
        self.timeout
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let order = order(request, context).await?;
        let (model, service) = (&self.images.model, &self.images.service);
        let parent = &order.parent;
        // the parent's shape, unless another was asked for
        let shape = ImageOptions {
            width: context.options.image.width.or(Some(parent.width)),
            height: context.options.image.height.or(Some(parent.height)),
            ..ImageOptions::default()
        };
        let size = size(model, &shape);
        let extension = parent.mime.trim_start_matches("image/");
        let part = Part::stream(parent.bytes.clone())
            .file_name(format!("image.{extension}"))
            .mime_str(parent.mime)
            .map_err(|_| ToolError::permanent("picture_unsupported", "no such picture type"))?;
        let mut form = Form::new()
            .part("image", part)
            .text("model", model.clone())
            .text("prompt", order.prompt.to_owned())
            .text("n", "1")
            .text("size", size.clone());
        if wants_format(model) {
            form = form.text("response_format", "b64_json");
        }
        let request = service.authorised(Method::POST, "/images/edits");
        let answer = service.json(request.multipart(form)).await?;
        Ok(Made {
            picture: self.images.picture(answer).await?,
            model: Some(model.clone()),
            seed: None,
            parameters: Map::from_iter([("size".to_owned(), json!(size))]),
            source: None,
        })
    }
}
