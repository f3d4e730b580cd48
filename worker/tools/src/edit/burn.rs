//! A picture model of this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use illumine_types::tool::ToolRequest;

use super::order;
use crate::diffusion::burn::paint;
use crate::painter::Painter;
use crate::toolbox::backend::{Backend, Made};
use crate::{ToolContext, ToolError};

/// Changes pictures.
#[derive(Debug)]
pub(crate) struct BurnEdit {
    pub painter: Arc<dyn Painter>,
    pub timeout: Duration,
}

#[async_trait]
impl Backend for BurnEdit {
    fn name(&self) -> &'static str {
        "burn"
    }

    fn time_limit(&self) -> Duration {
        self.timeout
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        let order = order(request, context).await?;
        let (prompt, parent) = (order.prompt, order.parent);
        paint(&*self.painter, prompt, vec![parent], context).await
    }
}
