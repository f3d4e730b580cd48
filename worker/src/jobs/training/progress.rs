//! What lists and pages are told of a run.

use illumine_train::rl::{Best, Line};
use illumine_types::training::RunSummary;
use serde_json::{Map, Value};

/// Points of a list's curve.
const CURVE: usize = 60;

/// Rewards of all steps so far, to be thinned out.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    rewards: Vec<f64>,
    best_of_steps: Option<(u64, f64)>,
}

impl Progress {
    /// From the lines of `metrics.jsonl` up to `step`.
    pub fn from_lines(text: &str, step: u64) -> Self {
        let mut progress = Self::default();
        for line in text.lines() {
            let Ok(value) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let (number, reward) = (value["step"].as_u64(), value["reward"].as_f64());
            if let (Some(number), Some(reward)) = (number, reward)
                && number <= step
            {
                progress.take(number, reward);
            }
        }
        progress
    }

    /// The mean reward of the step that ended as number `step`.
    pub fn take(&mut self, step: u64, reward: f64) {
        self.rewards.push(reward);
        if self.best_of_steps.is_none_or(|(_, best)| reward > best) {
            self.best_of_steps = Some((step, reward));
        }
    }

    /// For lists.
    pub fn summary(&self, step: u64, best: &Best, alarm: Option<String>) -> RunSummary {
        let validated = best.best.map(|best| (best.step, best.reward));
        let best = validated.or(self.best_of_steps);
        RunSummary {
            step,
            reward: self.rewards.last().copied(),
            best_reward: best.map(|(_, reward)| reward),
            best_step: best.map(|(step, _)| step),
            curve: thinned(&self.rewards),
            alarm,
        }
    }
}

/// Means of equal stretches.
fn thinned(values: &[f64]) -> Vec<f64> {
    let stretch = values.len().div_ceil(CURVE).max(1);
    values
        .chunks(stretch)
        .map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64)
        .collect()
}

/// A step's figures as the page's events and `metrics.jsonl` have them.
pub fn point(line: &Line) -> Map<String, Value> {
    match serde_json::to_value(line) {
        Ok(Value::Object(point)) => point,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use illumine_train::rl::Validation;

    use super::*;

    #[test]
    fn a_resumed_runs_curve_ends_at_its_step() {
        let text = "{\"step\":0,\"validation_reward\":0.1}\n{\"step\":1,\"reward\":0.2}\n\
                    {\"step\":2,\"reward\":0.6}\n{\"step\":3,\"reward\":0.4}\n{\"st";
        let progress = Progress::from_lines(text, 2);
        let summary = progress.summary(2, &Best::default(), None);
        assert_eq!(summary.curve, [0.2, 0.6]);
        assert_eq!(
            (summary.best_step, summary.best_reward),
            (Some(2), Some(0.6))
        );
        // Validations say more than steps, whose prompts differ.
        let mut best = Best::default();
        best.take(Validation {
            step: 0,
            reward: 0.3,
        });
        assert_eq!(progress.summary(2, &best, None).best_reward, Some(0.3));
    }

    #[test]
    fn long_curves_are_thinned_by_means() {
        let mut progress = Progress::default();
        for step in 0..150 {
            progress.take(step, f64::from(u32::try_from(step % 3).unwrap()));
        }
        let curve = progress.summary(150, &Best::default(), None).curve;
        assert_eq!(curve.len(), 50);
        assert!(curve.iter().all(|mean| (mean - 1.0).abs() < 1e-12));
    }
}
