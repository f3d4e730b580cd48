//! The system prompt that a model folder may bring (`system_prompt.md`).

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::error::{ModelError, Result};

/// Fills the variables of a system prompt, a minijinja template.
///
/// # Errors
/// [`ModelError::ChatTemplate`] for a syntax error and for a variable that
/// `variables` does not have.
pub fn render_system_prompt(template: &str, variables: impl Serialize) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_str(template, variables)
        .map_err(|error| ModelError::ChatTemplate(format!("system prompt: {error:#}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn variables_are_filled_and_missing_ones_named() {
        let variables = BTreeMap::from([("tools", vec!["code", "search"])]);
        let text = render_system_prompt(
            "You may use:\n{% for tool in tools %}\n- {{ tool }}\n{% endfor %}\n",
            &variables,
        );
        assert_eq!(text.unwrap(), "You may use:\n- code\n- search\n");
        let error = render_system_prompt("{{ colour }}", &variables).unwrap_err();
        assert_eq!(error.code(), "model_chat_template");
    }
}
