//! From a request to a whole configuration.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::preset::Preset;
use super::settings::{Algorithm, Engine, RewardFactors, TrainingConfig, TrainingSettings};

/// `POST /api/v1/training-runs`. A preset fills what is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TrainingRunRequest {
    pub name: String,
    #[serde(default)]
    pub preset: Preset,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// `demo`, the folder of a model, or `run_…/step-000020`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Vec<String>>,
    /// Those that differ from the preset's.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = TrainingSettings))]
    pub settings: Map<String, Value>,
    /// Those that differ from the preset's.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = RewardFactors))]
    pub reward: Map<String, Value>,
}

/// A field that cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// As a JSON path, e.g. `settings.samples`.
    pub field: String,
    pub reason: String,
}

impl FieldError {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl TrainingRunRequest {
    /// The run in full.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn resolve(self) -> Result<TrainingConfig, FieldError> {
        let mut preset = self.preset.config();
        if self.engine == Some(Engine::Ray) {
            // It has none: refused where it is asked for, and not where a preset has it.
            preset.settings.length_weight = 0.0;
        }
        let config = TrainingConfig {
            name: self.name.trim().to_owned(),
            engine: self.engine.unwrap_or(preset.engine),
            algorithm: self.algorithm.unwrap_or(preset.algorithm),
            model: self.model.unwrap_or(preset.model),
            dataset: self.dataset.unwrap_or(preset.dataset),
            settings: merged("settings", &preset.settings, self.settings)?,
            reward: merged("reward", &preset.reward, self.reward)?,
        };
        config.validate()?;
        Ok(config)
    }
}

/// `base` with `changes`; errors name the field among those of `base`.
fn merged<T: Serialize + DeserializeOwned>(
    name: &str,
    base: &T,
    changes: Map<String, Value>,
) -> Result<T, FieldError> {
    let whole = |reason: String| FieldError::new(name, reason);
    let Value::Object(base) =
        serde_json::to_value(base).map_err(|error| whole(error.to_string()))?
    else {
        return Err(whole("is no object".into()));
    };
    let mut all = base.clone();
    for (key, value) in changes {
        if !base.contains_key(&key) {
            let known: Vec<&str> = base.keys().map(String::as_str).collect();
            let reason = format!("there is no such setting; known: {}", known.join(", "));
            return Err(FieldError::new(format!("{name}.{key}"), reason));
        }
        // One at a time, so that the error is about this one.
        let mut alone = base.clone();
        alone.insert(key.clone(), value.clone());
        serde_json::from_value::<T>(Value::Object(alone))
            .map_err(|error| FieldError::new(format!("{name}.{key}"), error.to_string()))?;
        all.insert(key, value);
    }
    serde_json::from_value(Value::Object(all)).map_err(|error| whole(error.to_string()))
}

impl TrainingConfig {
    /// Checks each value.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.name.is_empty() || self.name.chars().count() > 200 {
            return Err(FieldError::new("name", "give 1 to 200 characters"));
        }
        if self.model.trim().is_empty() {
            return Err(FieldError::new(
                "model",
                "name a policy: `demo`, a model's folder, or a run's checkpoint",
            ));
        }
        if self.dataset.is_empty() || self.dataset.iter().any(|file| file.trim().is_empty()) {
            return Err(FieldError::new(
                "dataset",
                "name data: `demo`, an uploaded dataset (`dat_…`), or files of rows",
            ));
        }
        self.settings.validate()?;
        self.reward.validate()?;
        if self.engine == Engine::Ray && self.settings.length_weight > 0.0 {
            let reason = format!(
                "{}: jobs on Ray have no penalty for length; set it to 0",
                self.settings.length_weight
            );
            return Err(FieldError::new("settings.length_weight", reason));
        }
        Ok(())
    }
}

impl TrainingSettings {
    /// Checks each value.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), FieldError> {
        let settings = self;
        let counts: [(&str, u64, u64, u64); 14] = [
            ("steps", settings.steps, 1, 1_000_000),
            (
                "prompts_per_step",
                settings.prompts_per_step.into(),
                1,
                4096,
            ),
            ("samples", settings.samples.into(), 2, 128),
            (
                "max_answer_tokens",
                settings.max_answer_tokens.into(),
                1,
                65_536,
            ),
            ("epochs", settings.epochs.into(), 1, 64),
            ("minibatches", settings.minibatches.into(), 1, 1024),
            (
                "tokens_per_micro_batch",
                settings.tokens_per_micro_batch.into(),
                1,
                1 << 24,
            ),
            ("time_limit_s", settings.time_limit_s, 1, 86_400),
            ("checkpoint_every", settings.checkpoint_every, 1, 1_000_000),
            (
                "keep_checkpoints",
                settings.keep_checkpoints.into(),
                1,
                1000,
            ),
            ("samples_every", settings.samples_every, 1, 1_000_000),
            (
                "validation_prompts",
                settings.validation_prompts.into(),
                1,
                4096,
            ),
            ("warmup_steps", settings.warmup_steps, 0, 1_000_000),
            ("lora_rank", settings.lora_rank.into(), 0, 1024),
        ];
        for (field, value, least, most) in counts {
            if !(least..=most).contains(&value) {
                let reason = format!("{value}: must lie in {least}..={most}");
                return Err(FieldError::new(format!("settings.{field}"), reason));
            }
        }
        let numbers: [(&str, f64, f64, f64); 11] = [
            ("learning_rate", settings.learning_rate, 0.0, 0.1),
            ("lora_alpha", settings.lora_alpha, 1e-3, 1e4),
            ("weight_decay", settings.weight_decay, 0.0, 10.0),
            ("max_grad_norm", settings.max_grad_norm, 1e-6, 1e6),
            ("clip_low", settings.clip_low, 0.0, 1.0),
            ("clip_high", settings.clip_high, 0.0, 10.0),
            ("kl_weight", settings.kl_weight, 0.0, 100.0),
            ("length_weight", settings.length_weight, 0.0, 100.0),
            ("length_buffer", settings.length_buffer, 0.0, 1.0),
            ("entropy_weight", settings.entropy_weight, 0.0, 100.0),
            ("most_excluded", settings.most_excluded, 0.0, 1.0),
        ];
        for (field, value, least, most) in numbers {
            if !(least..=most).contains(&value) {
                let reason = format!("{value}: must lie in {least}..={most}");
                return Err(FieldError::new(format!("settings.{field}"), reason));
            }
        }
        if !(settings.temperature > 0.0 && settings.temperature <= 5.0) {
            let reason = format!(
                "{}: answers must be drawn; give a number above 0, at most 5",
                settings.temperature
            );
            return Err(FieldError::new("settings.temperature", reason));
        }
        if let Some(dual) = settings.dual_clip
            && (!dual.is_finite() || dual <= 1.0)
        {
            let reason = format!("{dual}: must be above 1, or null for none");
            return Err(FieldError::new("settings.dual_clip", reason));
        }
        Ok(())
    }
}

impl RewardFactors {
    /// Checks each value.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), FieldError> {
        let factors = [
            ("count", self.count),
            ("mllm", self.mllm),
            ("llm", self.llm),
            ("tools", self.tools),
            ("format", self.format),
        ];
        for (field, value) in factors {
            if !(0.0..=100.0).contains(&value) {
                let reason = format!("{value}: must lie in 0..=100");
                return Err(FieldError::new(format!("reward.{field}"), reason));
            }
        }
        match factors.iter().any(|(_, value)| *value > 0.0) {
            true => Ok(()),
            false => Err(FieldError::new(
                "reward",
                "at least one factor must be above 0",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(body: Value) -> Result<TrainingConfig, FieldError> {
        serde_json::from_value::<TrainingRunRequest>(body)
            .unwrap()
            .resolve()
    }

    #[test]
    fn a_preset_fills_what_is_left_out() {
        let config = request(json!({
            "name": " mine ", "preset": "qwen3-30b-a3b-gspo", "engine": "burn",
            "settings": {"steps": 3, "dual_clip": 4.0},
        }))
        .unwrap();
        let preset = Preset::Qwen330bA3bGspo.config();
        assert_eq!(
            (config.name.as_str(), config.engine),
            ("mine", Engine::Burn)
        );
        assert_eq!(config.algorithm, Algorithm::Gspo);
        assert_eq!(config.settings.steps, 3);
        assert_eq!(config.settings.dual_clip, Some(4.0));
        assert_eq!(config.settings.clip_low, preset.settings.clip_low);
        assert_eq!(config.reward, preset.reward);
        let penalty = |engine: &str| {
            let body = json!({"name": "x", "engine": engine});
            request(body).unwrap().settings.length_weight
        };
        assert_eq!(penalty("ray"), 0.0);
        assert!(penalty("burn") > 0.0);
    }

    #[test]
    fn every_preset_can_be_used() {
        for preset in Preset::ALL {
            assert_eq!(Preset::parse(preset.as_str()), Some(preset));
            assert_eq!(json!(preset), preset.as_str());
            let body = json!({"name": "x", "preset": preset});
            assert_eq!(request(body).unwrap().model, preset.config().model);
        }
    }

    #[test]
    fn bad_values_are_told_by_their_field() {
        let cases = [
            (
                json!({"settings": {"learning_rate": 10}}),
                "settings.learning_rate",
            ),
            (json!({"settings": {"samples": 1}}), "settings.samples"),
            (
                json!({"settings": {"length_buffer": 1.5}}),
                "settings.length_buffer",
            ),
            (
                json!({"preset": "qwen3-4b-grpo", "settings": {"length_weight": 0.1}}),
                "settings.length_weight",
            ),
            (json!({"settings": {"samples": -4}}), "settings.samples"),
            (json!({"settings": {"steps": "many"}}), "settings.steps"),
            (
                json!({"settings": {"temperature": 0}}),
                "settings.temperature",
            ),
            (json!({"settings": {"dual_clip": 1}}), "settings.dual_clip"),
            (
                json!({"settings": {"lora_rank": 2000}}),
                "settings.lora_rank",
            ),
            (
                json!({"settings": {"lora_alpha": 0}}),
                "settings.lora_alpha",
            ),
            (
                json!({"settings": {"lerning_rate": 1}}),
                "settings.lerning_rate",
            ),
            (json!({"reward": {"llm": -1}}), "reward.llm"),
            (
                json!({"reward": {"count": 0, "tools": 0, "format": 0}}),
                "reward",
            ),
            (json!({"dataset": []}), "dataset"),
            (json!({"model": " "}), "model"),
            (json!({"name": ""}), "name"),
        ];
        for (mut body, field) in cases {
            if body.get("name").is_none() {
                body["name"] = json!("x");
            }
            assert_eq!(request(body).unwrap_err().field, field);
        }
    }
}
