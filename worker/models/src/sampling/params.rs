//! What shapes the choice.

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// Sampling parameters, with the names and meanings of the OpenAI and
/// `transformers` interfaces. The default is greedy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingParams {
    /// Divides the logits; 0 takes the likeliest token always.
    pub temperature: f32,
    /// Keeps the likeliest tokens until their probabilities reach this sum
    /// (Holtzman et al., arXiv:1904.09751); 1 keeps all.
    pub top_p: f32,
    /// Keeps this many tokens; 0 keeps all.
    pub top_k: usize,
    /// Drops tokens below this share of the likeliest one's probability
    /// (Nguyen et al., arXiv:2407.01082); 0 drops none.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens already seen
    /// (Keskar et al., arXiv:1909.05858, §4.1); 1 changes nothing.
    pub repetition_penalty: f32,
    /// The same seed, prompt, device and weights give the same tokens. Absent:
    /// a random one.
    pub seed: Option<u64>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: None,
        }
    }
}

impl SamplingParams {
    /// Checks each parameter's range.
    ///
    /// # Errors
    /// [`ModelError::Request`] naming the parameter.
    pub fn validate(&self) -> Result<()> {
        let check = |field: &'static str, good: bool, range: &str| {
            if good {
                return Ok(());
            }
            Err(ModelError::Request {
                field,
                reason: format!("must be {range}"),
            })
        };
        let temperature = self.temperature;
        check(
            "temperature",
            temperature.is_finite() && temperature >= 0.0,
            "a number from 0",
        )?;
        check(
            "top_p",
            self.top_p > 0.0 && self.top_p <= 1.0,
            "above 0 and at most 1",
        )?;
        check("min_p", (0.0..=1.0).contains(&self.min_p), "from 0 to 1")?;
        check(
            "repetition_penalty",
            self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0,
            "a positive number",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_name_their_field() {
        let good = SamplingParams::default();
        good.validate().unwrap();
        let cases = [
            (
                "temperature",
                SamplingParams {
                    temperature: -1.0,
                    ..good.clone()
                },
            ),
            (
                "temperature",
                SamplingParams {
                    temperature: f32::NAN,
                    ..good.clone()
                },
            ),
            (
                "top_p",
                SamplingParams {
                    top_p: 0.0,
                    ..good.clone()
                },
            ),
            (
                "top_p",
                SamplingParams {
                    top_p: f32::NAN,
                    ..good.clone()
                },
            ),
            (
                "min_p",
                SamplingParams {
                    min_p: 1.5,
                    ..good.clone()
                },
            ),
            (
                "repetition_penalty",
                SamplingParams {
                    repetition_penalty: 0.0,
                    ..good
                },
            ),
        ];
        for (field, params) in cases {
            let error = params.validate().unwrap_err();
            assert_eq!(error.code(), "model_request_invalid");
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
