//! Qwen-Image servers (LLM-I, `examples/qwen_image_deployment/server.py`):
//! `POST /generate/` → `{"status": "success", "images": ["<base64 PNG>"]}`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use illumine_types::tool::ToolRequest;
use serde::Deserialize;
use serde_json::json;

use super::{parameters, prompt, seed_or_fresh};
use crate::fetch::PictureFetcher;
use crate::service::{Pool, Service};
use crate::toolbox::backend::{Backend, Made};
use crate::{Picture, ToolContext, ToolError};

/// Qwen-Image's own recipe: 1328² pixels, 50 steps, true guidance 4.0, and a
/// negative prompt of one space, without which its pipeline guides nothing.
const SIDE: u32 = 1328;
const STEPS: u32 = 50;
const GUIDANCE: f32 = 4.0;
pub(crate) const NEGATIVE_PROMPT: &str = " ";

/// Requests at a time and server: one drawing, one waiting.
pub(crate) const PER_SERVER: usize = 2;

#[derive(Debug)]
pub(crate) struct QwenImage {
    pub pool: Pool,
    pub fetcher: PictureFetcher,
    pub timeout: Duration,
}

/// The answer of `/generate/` and `/edit/`.
#[derive(Debug, Deserialize)]
struct QwenAnswer {
    status: String,
    #[serde(default)]
    images: Vec<String>,
}

/// The first picture of a server's answer, checked.
pub(crate) async fn first_picture(
    answer: &Bytes,
    service: &Service,
    fetcher: &PictureFetcher,
) -> Result<Picture, ToolError> {
    let answer: QwenAnswer = serde_json::from_slice(answer).map_err(|_| service.bad_answer())?;
    let image = answer.images.first().filter(|_| answer.status == "success");
    let bytes = image.and_then(|text| crate::service::decode_base64(text));
    fetcher
        .check(bytes.ok_or_else(|| service.bad_answer())?)
        .await
}

#[async_trait]
impl Backend for QwenImage {
    fn name(&self) -> &'static str {
        "qwen"
    }

    fn concurrency(&self) -> usize {
        self.pool.len() * PER_SERVER
    }

    /// Each server's own time, so that another can take over.
    fn time_limit(&self) -> Duration {
        self.timeout * u32::try_from(self.pool.len()).unwrap_or(1).clamp(1, 2)
            + Duration::from_secs(5)
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let image = &context.options.image;
        let seed = seed_or_fresh(context.options.seed);
        let body = json!({
            "prompt": prompt(request)?,
            "negative_prompt": NEGATIVE_PROMPT,
            "width": image.width.unwrap_or(SIDE),
            "height": image.height.unwrap_or(SIDE),
            "num_inference_steps": image.steps.unwrap_or(STEPS),
            "guidance_scale": image.guidance.unwrap_or(GUIDANCE),
            "num_images_per_prompt": 1,
            "seed": seed,
        });
        let (answer, service) = self.pool.post("/generate/", &body, self.timeout).await?;
        Ok(Made {
            picture: first_picture(&answer, service, &self.fetcher).await?,
            model: Some("Qwen-Image".into()),
            seed: Some(seed),
            parameters: parameters(&body),
            source: None,
        })
    }
}
