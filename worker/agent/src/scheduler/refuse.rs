//! Calls that cannot run, with the reason and the remedy.

use std::sync::Arc;

use illumine_tools::ImageTool;
use illumine_types::{Outcome, ToolCall};

use super::Surroundings;

/// The tool for a call, or why there is none.
pub(crate) fn refusal(
    surroundings: &Surroundings,
    call: &ToolCall,
) -> Result<Arc<dyn ImageTool>, Outcome> {
    let kind = call.kind();
    let failed = |code: &str, reason: String| Outcome::Failed {
        code: code.to_owned(),
        reason,
    };
    let allowed = surroundings.allowed.as_ref();
    if allowed.is_some_and(|allowed| !allowed.contains(&kind)) {
        return Err(failed(
            "tool_not_allowed",
            format!("The request does not allow the tool {kind}."),
        ));
    }
    let tools = &surroundings.tools;
    let Some(tool) = tools.iter().find(|tool| tool.kind() == kind) else {
        return Err(failed(
            "tool_unavailable",
            format!("The tool {kind} is not installed here."),
        ));
    };
    let capability = tool.capability();
    if capability.available {
        return Ok(tool.clone());
    }
    let reason = capability
        .reason
        .unwrap_or_else(|| format!("The tool {kind} is not set up."));
    // A remedy is a setting's name or an instruction.
    let remedy = capability
        .remedy
        .map(|remedy| format!(" What would help: {}.", remedy.trim_end_matches('.')));
    Err(failed(
        "tool_unavailable",
        format!(
            "{}.{}",
            reason.trim_end_matches('.'),
            remedy.unwrap_or_default()
        ),
    ))
}
