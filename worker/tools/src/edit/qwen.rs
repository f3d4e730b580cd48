//! Qwen-Image-Edit servers (LLM-I, `examples/qwen_image_deployment/server.py`):
//! `POST /edit/` with the picture in base64.

use std::time::Duration;

use async_trait::async_trait;
use illumine_types::tool::ToolRequest;
use serde_json::json;

use super::order;
use crate::diffusion::qwen::{NEGATIVE_PROMPT, PER_SERVER, first_picture};
use crate::diffusion::{parameters, seed_or_fresh};
use crate::fetch::PictureFetcher;
use crate::service::Pool;
use crate::toolbox::backend::{Backend, Made};
use crate::{ToolContext, ToolError};

const STEPS: u32 = 50;
const GUIDANCE: f32 = 4.0;

#[derive(Debug)]
pub(crate) struct QwenEdit {
    pub pool: Pool,
    pub fetcher: PictureFetcher,
    pub timeout: Duration,
}

#[async_trait]
impl Backend for QwenEdit {
    fn name(&self) -> &'static str {
        "qwen"
    }

    fn concurrency(&self) -> usize {
        self.pool.len() * PER_SERVER
    }

    fn time_limit(&self) -> Duration {
        self.timeout * u32::try_from(self.pool.len()).unwrap_or(1).clamp(1, 2)
            + Duration::from_secs(5)
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let order = order(request, context).await?;
        let image = &context.options.image;
        let seed = seed_or_fresh(context.options.seed);
        let body = json!({
            "image_b64": order.base64(),
            "prompt": order.prompt,
            "negative_prompt": NEGATIVE_PROMPT,
            "num_inference_steps": image.steps.unwrap_or(STEPS),
            "guidance_scale": image.guidance.unwrap_or(GUIDANCE),
            "seed": seed,
        });
        let (answer, service) = self.pool.post("/edit/", &body, self.timeout).await?;
        Ok(Made {
            picture: first_picture(&answer, service, &self.fetcher).await?,
            model: Some("Qwen-Image-Edit".into()),
            seed: Some(seed),
            parameters: parameters(&body),
            source: None,
        })
    }
}
