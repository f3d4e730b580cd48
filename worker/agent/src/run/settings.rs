//! Bounds and words of an agent.

use std::time::Duration;

use illumine_config::Config;
use illumine_types::tag::Limits;

use crate::error::AgentError;

/// See each field. The default is that of the default configuration.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Replaces the built-in system prompt, where the model brings none.
    pub system_prompt: Option<String>,
    /// Bytes that a policy may write, thinking included.
    pub max_output_bytes: usize,
    /// For one tool call, with all its retries; tools have shorter limits of
    /// their own.
    pub call_timeout: Duration,
    /// Pictures of one document; tags beyond fail.
    pub max_images: usize,
    pub tag_limits: Limits,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self::new(&Config::default(), None)
    }
}

impl AgentSettings {
    /// Reads the system prompt that the configuration names.
    ///
    /// # Errors
    /// [`AgentError::Prompt`] if the file cannot be read.
    pub fn from_config(config: &Config) -> Result<Self, AgentError> {
        let system_prompt = match &config.policy.system_prompt {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| AgentError::Prompt(format!("{}: {error}", path.display())))?,
            ),
            None => None,
        };
        Ok(Self::new(config, system_prompt))
    }

    fn new(config: &Config, system_prompt: Option<String>) -> Self {
        let longest = config.tools.draw_timeout_s.max(config.tools.code_timeout_s);
        Self {
            system_prompt,
            max_output_bytes: config.policy.max_output_bytes,
            // Room for a queue before the tool and a retry within it.
            call_timeout: Duration::from_secs(longest.saturating_mul(3).saturating_add(30)),
            max_images: 64,
            tag_limits: Limits::default(),
        }
    }
}
