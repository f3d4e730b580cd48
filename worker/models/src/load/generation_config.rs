//! `generation_config.json` of a model folder.

use std::path::Path;

use serde::Deserialize;

use super::read_json_if_there;
use crate::error::{ModelError, Result};
use crate::sampling::SamplingParams;

const FILE: &str = "generation_config.json";

/// What the file says that matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GenerationConfig {
    eos_token_id: Option<Ids>,
    #[serde(flatten)]
    pub(super) sampling: SuggestedSampling,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

/// How its makers would have a model sampled, where they say so. As `vllm serve` does, a
/// server takes it for what a request leaves open, whatever `do_sample` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SuggestedSampling {
    /// See [`SamplingParams::temperature`].
    pub temperature: Option<f32>,
    /// See [`SamplingParams::top_p`].
    pub top_p: Option<f32>,
    /// See [`SamplingParams::top_k`]; some write -1 for all.
    pub top_k: Option<i64>,
    /// See [`SamplingParams::min_p`].
    pub min_p: Option<f32>,
    /// See [`SamplingParams::repetition_penalty`].
    pub repetition_penalty: Option<f32>,
}

impl GenerationConfig {
    /// That of the folder `dir`; nothing said where it has none.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Malformed`] naming the field.
    pub(super) fn from_folder(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let config: Self = read_json_if_there(&path)?.unwrap_or_default();
        let params = config.sampling.or(&SamplingParams::default());
        params.validate().map_err(|error| match error {
            ModelError::Request { field, reason } => {
                ModelError::malformed(&path, format!("`{field}` {reason}"))
            }
            other => other,
        })?;
        Ok(config)
    }

    /// Tokens that end an answer, where it names them.
    pub(super) fn eos_token_ids(&self) -> Option<Vec<u32>> {
        self.eos_token_id.as_ref().map(|ids| match ids {
            Ids::One(id) => vec![*id],
            Ids::Many(ids) => ids.clone(),
        })
    }
}

impl SuggestedSampling {
    /// The parameters that it names, and the others of `otherwise`.
    pub fn or(&self, otherwise: &SamplingParams) -> SamplingParams {
        SamplingParams {
            temperature: self.temperature.unwrap_or(otherwise.temperature),
            top_p: self.top_p.unwrap_or(otherwise.top_p),
            top_k: self
                .top_k
                .map_or(otherwise.top_k, |count| usize::try_from(count).unwrap_or(0)),
            min_p: self.min_p.unwrap_or(otherwise.min_p),
            repetition_penalty: self
                .repetition_penalty
                .unwrap_or(otherwise.repetition_penalty),
            seed: otherwise.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<GenerationConfig> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        GenerationConfig::from_folder(dir.path())
    }

    #[test]
    fn what_is_said_goes_before_what_is_usual() {
        let usual = SamplingParams {
            temperature: 1.0,
            seed: Some(3),
            ..SamplingParams::default()
        };
        let config = read(r#"{"eos_token_id": 5, "top_k": 20, "top_p": 0.8, "min_p": null}"#);
        let config = config.unwrap();
        assert_eq!(config.eos_token_ids(), Some(vec![5]));
        let expected = SamplingParams {
            top_k: 20,
            top_p: 0.8,
            ..usual.clone()
        };
        assert_eq!(config.sampling.or(&usual), expected);
        let all = read(r#"{"top_k": -1}"#).unwrap();
        assert_eq!(
            (all.sampling.or(&usual), all.eos_token_ids()),
            (usual, None)
        );
    }

    #[test]
    fn what_cannot_be_is_named_with_its_file() {
        for (text, field) in [
            (r#"{"temperature": -1}"#, "temperature"),
            (r#"{"top_p": 0}"#, "top_p"),
            (r#"{"eos_token_id": "x"}"#, "Ids"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.code(), "model_file_malformed");
            let words = error.to_string();
            assert!(words.contains(field) && words.contains(FILE), "{words}");
        }
    }
}
