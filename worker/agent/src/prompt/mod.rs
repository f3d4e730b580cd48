//! The system prompt, made for each request: it names only the tools that can
//! run here and now, and the input pictures by index.

use illumine_models::prompt::render_system_prompt;
use illumine_types::ToolKind;
use serde::Serialize;

use crate::policy::PolicyError;

/// Ours, for models that bring none.
pub const BUILT_IN: &str = include_str!("system.md");

/// What a system prompt may speak of.
#[derive(Clone, Debug, Serialize)]
pub struct PromptVariables {
    /// Words as in a tag's `source`.
    pub tools: Vec<&'static str>,
    /// Input pictures.
    pub inputs: usize,
    /// Whether the policy sees them.
    pub vision: bool,
}

impl PromptVariables {
    #[must_use]
    pub fn new(tools: &[ToolKind], inputs: usize, vision: bool) -> Self {
        Self {
            tools: tools.iter().map(|tool| tool.as_str()).collect(),
            inputs,
            vision,
        }
    }
}

/// Fills a template.
///
/// # Errors
/// `system_prompt`: the template names an unknown variable or is malformed.
pub fn system_prompt(template: &str, variables: &PromptVariables) -> Result<String, PolicyError> {
    let text = render_system_prompt(template, variables)
        .map_err(|error| PolicyError::permanent("system_prompt", error.to_string()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in(tools: &[ToolKind], inputs: usize, vision: bool) -> String {
        system_prompt(BUILT_IN, &PromptVariables::new(tools, inputs, vision)).unwrap()
    }

    #[test]
    fn only_tools_that_can_run_are_named() {
        let text = built_in(&[ToolKind::Code, ToolKind::Search], 0, false);
        assert!(text.contains("`code`") && text.contains("`search`"));
        assert!(!text.contains("`diffusion`") && !text.contains("img_index"));
        assert!(built_in(&[], 0, false).contains("text only"));
    }

    #[test]
    fn input_pictures_are_named_by_index() {
        let blind = built_in(&ToolKind::ALL, 3, false);
        assert!(
            blind.contains("3 pictures, with index 0 to 2") && blind.contains("cannot see them"),
            "{blind}"
        );
        assert!(!built_in(&ToolKind::ALL, 3, true).contains("cannot see"));
        assert!(
            built_in(&ToolKind::ALL, 1, false)
                .contains("1 picture, with index 0. You cannot see it")
        );
    }
}
