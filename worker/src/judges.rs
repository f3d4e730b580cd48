//! The judges that the configuration names, over the OpenAI protocol.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use illumine_agent::policy::openai::OpenAiPolicy;
use illumine_config::{Config, Judge};
use illumine_rewards::{JudgeSettings, LlmJudge, MllmJudge, RewardSettings, Scorer};

/// Scores by the rules and by the judges that LLM_JUDGE_BASE_URL and MLLM_JUDGE_BASE_URL
/// name.
///
/// # Errors
/// A server without a model's name; settings that cannot be used; weights of judges alone
/// where none is named.
pub fn scorer(
    config: &Config,
    rewards: RewardSettings,
    judges: &JudgeSettings,
) -> anyhow::Result<Scorer> {
    let llm = judge(&config.llm_judge, "LLM_JUDGE_MODEL_NAME")?;
    let llm = llm.map(|policy| LlmJudge::new(policy, judges.clone()));
    let mllm = judge(&config.mllm_judge, "MLLM_JUDGE_MODEL_NAME")?;
    let mllm = mllm.map(|policy| MllmJudge::new(policy, judges.clone()));
    Ok(Scorer::new(rewards, llm.transpose()?, mllm.transpose()?)?)
}

/// The policy that a judge's settings name, if any; `model` is the setting for its name.
fn judge(settings: &Judge, model: &str) -> anyhow::Result<Option<Arc<OpenAiPolicy>>> {
    let Some(base_url) = &settings.base_url else {
        return Ok(None);
    };
    let name = settings
        .model
        .as_deref()
        .with_context(|| format!("a judge's server is named and its model is not: set {model}"))?;
    let idle = Duration::from_secs(120);
    let policy = OpenAiPolicy::new(base_url, name, settings.api_key.clone(), idle)?;
    Ok(Some(Arc::new(policy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_without_a_model_names_the_setting() {
        let named = Judge {
            base_url: Some("http://127.0.0.1:9".into()),
            ..Judge::default()
        };
        let error = judge(&named, "LLM_JUDGE_MODEL_NAME").unwrap_err();
        assert!(error.to_string().contains("LLM_JUDGE_MODEL_NAME"));
        assert!(judge(&Judge::default(), "X").unwrap().is_none());
    }
}
