//! From a judge's scores to its reward.

use serde::{Deserialize, Serialize};

use crate::error::{Result, RewardError};

/// What the LLM judge says of the text with its tags; each from 1 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmScores {
    /// The writing, its tags aside.
    pub text: f64,
    /// The tags; 5 where there is none.
    pub image: f64,
}

/// What the MLLM judge says of the document with its pictures; each from 1 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MllmScores {
    /// How good the pictures are as pictures.
    pub image_quality: f64,
    /// How well they serve the question.
    pub task_relevance: f64,
    /// How well they fit the text around them.
    pub text_image_relevance: f64,
}

/// `LLM = ((1.4 t + 0.6 g)/2 − 1)/4`, from 0 to 1 (arXiv 2509.13642, LLM reward).
///
/// # Errors
/// [`RewardError::Number`] for a score outside 1 to 5, NaN included.
pub fn llm_reward(scores: LlmScores) -> Result<f64> {
    let text = score("llm.text", scores.text)?;
    let image = score("llm.image", scores.image)?;
    Ok(((1.4 * text + 0.6 * image) / 2.0 - 1.0) / 4.0)
}

/// `MLLM = ((q + r + s)/3 − 1)/4`, from 0 to 1 (arXiv 2509.13642, MLLM reward).
///
/// # Errors
/// [`RewardError::Number`] for a score outside 1 to 5, NaN included.
pub fn mllm_reward(scores: MllmScores) -> Result<f64> {
    let quality = score("mllm.image_quality", scores.image_quality)?;
    let task = score("mllm.task_relevance", scores.task_relevance)?;
    let text_image = score("mllm.text_image_relevance", scores.text_image_relevance)?;
    Ok(((quality + task + text_image) / 3.0 - 1.0) / 4.0)
}

fn score(field: &'static str, value: f64) -> Result<f64> {
    RewardError::check(field, value, 1.0, 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llm_reward_weighs_text_over_tags() {
        for (text, image, expected) in [
            (1.0, 1.0, 0.0),
            (5.0, 5.0, 1.0),
            (5.0, 1.0, 0.7),
            (1.0, 5.0, 0.3),
            (3.0, 3.0, 0.5),
            (4.5, 2.0, 0.6875),
        ] {
            let reward = llm_reward(LlmScores { text, image }).unwrap();
            assert!(
                (reward - expected).abs() < 1e-12,
                "{text}, {image}: {reward}"
            );
        }
    }

    #[test]
    fn the_mllm_reward_is_a_mean() {
        for (scores, expected) in [
            ([1.0, 1.0, 1.0], 0.0),
            ([5.0, 5.0, 5.0], 1.0),
            ([5.0, 1.0, 3.0], 0.5),
            ([1.0, 1.0, 4.0], 0.25),
        ] {
            let [image_quality, task_relevance, text_image_relevance] = scores;
            let reward = mllm_reward(MllmScores {
                image_quality,
                task_relevance,
                text_image_relevance,
            });
            assert!((reward.unwrap() - expected).abs() < 1e-12, "{scores:?}");
        }
    }

    #[test]
    fn a_score_that_is_none_is_an_error_that_names_it() {
        for bad in [f64::NAN, f64::INFINITY, 0.9, 5.1, -3.0] {
            let fine = 3.0;
            for (text, image, field) in [(bad, fine, "llm.text"), (fine, bad, "llm.image")] {
                let error = llm_reward(LlmScores { text, image }).unwrap_err();
                assert_eq!(error.code(), "reward_number_invalid");
                assert!(error.to_string().contains(field), "{error}");
            }
            let fields = [
                "mllm.image_quality",
                "mllm.task_relevance",
                "mllm.text_image_relevance",
            ];
            for (index, field) in fields.into_iter().enumerate() {
                let mut scores = [fine; 3];
                scores[index] = bad;
                let [image_quality, task_relevance, text_image_relevance] = scores;
                let error = mllm_reward(MllmScores {
                    image_quality,
                    task_relevance,
                    text_image_relevance,
                });
                assert!(error.unwrap_err().to_string().contains(field));
            }
        }
    }
}
