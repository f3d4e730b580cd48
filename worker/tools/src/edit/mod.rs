//! `edit`: changes to an earlier picture.
//!
//! Backends: [`qwen`] (Qwen-Image-Edit servers), [`ark`] (SeedEdit),
//! [`openai`] (images/edits), [`burn`] (a model of this process).

pub(crate) mod ark;
pub(crate) mod burn;
pub(crate) mod openai;
pub(crate) mod qwen;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use illumine_guard::picture::upright;
use illumine_types::tool::ToolRequest;

use crate::toolbox::backend::wrong_tool;
use crate::{Picture, ToolContext, ToolError};

/// What to change, and a PNG or JPEG to change it in.
struct Order<'a> {
    prompt: &'a str,
    parent: Picture,
}

impl Order<'_> {
    fn base64(&self) -> String {
        STANDARD.encode(&self.parent.bytes)
    }
}

async fn order<'a>(
    request: &'a ToolRequest,
    context: &ToolContext,
) -> Result<Order<'a>, ToolError> {
    let ToolRequest::Edit { prompt, .. } = request else {
        return Err(wrong_tool());
    };
    let missing = || ToolError::permanent("missing_parent", "the picture to change is missing");
    let parent = context.parent.as_ref().ok_or_else(missing)?;
    Ok(Order {
        prompt,
        parent: upright(parent).await?,
    })
}
