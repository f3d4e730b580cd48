//! What a run reports of itself, a line of JSON at a time.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Result, TrainError};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Updates done.
    pub step: u64,
    /// Of the run, 0 to 1.
    pub progress: f64,
    /// Mean cross-entropy of the answer tokens, in nats.
    pub loss: f64,
    /// Learning rate of the update.
    pub lr: f64,
    /// Norm of all gradients before clipping.
    pub grad_norm: f64,
    /// Tokens trained on since the start, prompts included.
    pub tokens: u64,
    /// Over the last step.
    pub tokens_per_s: f64,
    /// Time spent in training since the start.
    pub seconds: f64,
    /// Resident memory, where the system tells.
    pub memory_bytes: Option<u64>,
}

/// Appends a line.
///
/// # Errors
/// [`TrainError::Io`].
pub fn append(path: &Path, metrics: &impl Serialize) -> Result<()> {
    let line =
        serde_json::to_string(metrics).map_err(|error| TrainError::checkpoint(path, error))?;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| writeln!(file, "{line}"))
        .map_err(|error| TrainError::io(path, error))
}

/// Drops the lines after `step`, which a resumed run will write again.
///
/// # Errors
/// [`TrainError::Io`].
pub fn truncate_after(path: &Path, step: u64) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return Ok(());
    };
    let of = |line: &str| serde_json::from_str::<Value>(line).ok()?["step"].as_u64();
    let kept: String = text
        .lines()
        .filter(|line| of(line).is_some_and(|number| number <= step))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(path, kept).map_err(|error| TrainError::io(path, error))
}

/// Resident memory of this process; `None` where `/proc` is not there.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The curve of `metrics.jsonl` as CSV of about `rows` rows, each the mean over
/// the lines it stands for.
///
/// # Errors
/// [`TrainError::Io`] and, for a line that is no metrics, [`TrainError::Checkpoint`].
pub fn curve(path: &Path, rows: usize) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| TrainError::io(path, error))?;
    let lines: Vec<StepMetrics> = text
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| TrainError::checkpoint(path, error)))
        .collect::<Result<_>>()?;
    let mut csv = String::from("step,tokens,loss,grad_norm,lr,tokens_per_s\n");
    for chunk in lines.chunks(lines.len().div_ceil(rows.max(1)).max(1)) {
        let Some(last) = chunk.last() else { continue };
        let mean = |value: fn(&StepMetrics) -> f64| {
            chunk.iter().map(value).sum::<f64>() / chunk.len() as f64
        };
        csv.push_str(&format!(
            "{},{},{:.4},{:.3},{:.3e},{:.0}\n",
            last.step,
            last.tokens,
            mean(|metrics| metrics.loss),
            mean(|metrics| metrics.grad_norm),
            last.lr,
            mean(|metrics| metrics.tokens_per_s),
        ));
    }
    Ok(csv)
}
