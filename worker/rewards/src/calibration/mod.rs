//! How far a judge agrees with people.
//!
//! A file of labels has one JSON object a line:
//!
//! ```json
//! {"question": "…", "answer": "… <imgen>{…}</imgen> …", "images": ["a.png", null],
//!  "labels": {"text": 4, "image": 3}}
//! ```
//!
//! `images` names one file for each valid call of the answer, in order, relative
//! to the file of labels; `null` is a picture that could not be made. It may be
//! left out where no judge of pictures is calibrated. `labels` has the judge's
//! scores, from 1 to 5: `text` and `image`, or `image_quality`, `task_relevance`
//! and `text_image_relevance`; it may have both.

mod read;
mod statistics;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

pub use read::{Labelled, Labels, read_labels};
pub use statistics::{Agreement, agreement};

use crate::error::{Result, RewardError};
use crate::judge::{JudgeError, LlmJudge, MllmJudge};
use crate::reward::{LlmScores, MllmScores};

/// A judge's agreement with a file of labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// One for each of the judge's scores, in the judge's order.
    pub scores: Vec<ScoreAgreement>,
    /// Examples that the judge failed on; they are in no number above.
    pub failures: Vec<FailedLine>,
    /// Lines that have no labels for this judge.
    pub unlabelled: usize,
}

/// Agreement in one of a judge's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreAgreement {
    /// E.g. `text`.
    pub name: String,
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// A line that got no scores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLine {
    /// Counted from 1.
    pub line: usize,
    /// The judge's failure.
    pub code: String,
    pub reason: String,
}

/// Asks the judge of the text about every line with `text` and `image`.
///
/// # Errors
/// [`RewardError::NothingToReward`] if no line has these labels.
pub async fn calibrate_llm(judge: &LlmJudge, examples: &[Labelled]) -> Result<Calibration> {
    let values = |scores: LlmScores| [scores.text, scores.image];
    let asked = examples.iter().filter_map(|example| {
        let labels = values(example.labels.llm?);
        Some(async move {
            let judged = judge.judge(&example.sample).await;
            (example.line, labels, judged.map(|it| values(it.scores)))
        })
    });
    summarise(["text", "image"], examples.len(), join_all(asked).await)
}

/// Asks the judge of the pictures about every line with its three labels.
///
/// # Errors
/// [`RewardError::NothingToReward`] if no line has these labels.
pub async fn calibrate_mllm(judge: &MllmJudge, examples: &[Labelled]) -> Result<Calibration> {
    let values = |scores: MllmScores| {
        [
            scores.image_quality,
            scores.task_relevance,
            scores.text_image_relevance,
        ]
    };
    let asked = examples.iter().filter_map(|example| {
        let labels = values(example.labels.mllm?);
        Some(async move {
            let judged = judge.judge(&example.sample).await;
            (example.line, labels, judged.map(|it| values(it.scores)))
        })
    });
    let names = ["image_quality", "task_relevance", "text_image_relevance"];
    summarise(names, examples.len(), join_all(asked).await)
}

/// A line, its labels, and what the judge said.
type Answered<const N: usize> = (usize, [f64; N], Result<[f64; N], JudgeError>);

fn summarise<const N: usize>(
    names: [&str; N],
    examples: usize,
    answered: Vec<Answered<N>>,
) -> Result<Calibration> {
    if answered.is_empty() {
        let names = names.join(", ");
        return Err(RewardError::NothingToReward(format!(
            "no line is labelled with {names}"
        )));
    }
    let unlabelled = examples - answered.len();
    let mut failures = Vec::new();
    let mut pairs: Vec<Vec<(f64, f64)>> = vec![Vec::new(); N];
    for (line, labels, judged) in answered {
        match judged {
            Ok(scores) => {
                for (pairs, pair) in pairs.iter_mut().zip(labels.into_iter().zip(scores)) {
                    pairs.push(pair);
                }
            }
            Err(error) => failures.push(FailedLine {
                line,
                code: error.code().to_owned(),
                reason: error.to_string(),
            }),
        }
    }
    let scores = names
        .into_iter()
        .zip(pairs)
        .map(|(name, pairs)| ScoreAgreement {
            name: name.to_owned(),
            agreement: agreement(&pairs),
        });
    Ok(Calibration {
        scores: scores.collect(),
        failures,
        unlabelled,
    })
}
