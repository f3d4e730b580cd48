//! Rows of the data as prompts, and answers as lines.

use std::path::Path;

use illumine_datasets::Row;
use illumine_rewards::{ImageCount, Requirement};
use illumine_tools::Picture;
use serde_json::json;

use crate::error::{Result, TrainError};
use crate::rl::rollout::{Outcome, Prompt, Rollout};

/// What a row asks for; `place` is its place in the run.
pub(super) fn prompt(row: &Row, place: u64) -> Result<Prompt> {
    let image_num = ImageCount::try_from(row.extra_info.image_num.number());
    let image_num = image_num.map_err(|error| TrainError::Config {
        field: "image_num",
        reason: error.to_string(),
    })?;
    let inputs = row.images.iter().map(|picture| Picture {
        bytes: picture.bytes.to_vec().into(),
        mime: picture.mime,
        width: picture.width,
        height: picture.height,
    });
    Ok(Prompt {
        row: place,
        question: row.question().to_owned(),
        inputs: inputs.collect(),
        requires: Requirement {
            image_num,
            tools: row.extra_info.tools.clone(),
        },
    })
}

/// Writes the answers of a step, one a line, with every part of their scores.
pub(super) fn write_samples(path: &Path, prompts: &[Prompt], rollouts: &[Rollout]) -> Result<()> {
    let lines: String = rollouts
        .iter()
        .map(|rollout| {
            let (score, failure) = match &rollout.outcome {
                Outcome::Scored(score) => (Some(score), None),
                Outcome::Failed(reason) => (None, Some(reason)),
            };
            let line = json!({
                "prompt": prompts[rollout.prompt].question,
                "sample": rollout.sample,
                "document": rollout.document,
                "score": score,
                "failure": failure,
            });
            format!("{line}\n")
        })
        .collect();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
    }
    std::fs::write(path, lines).map_err(|error| TrainError::io(path, error))
}
