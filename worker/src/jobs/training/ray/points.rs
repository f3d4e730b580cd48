//! The figures of a run's steps.

use std::collections::BTreeMap;

use illumine_train::rl::{Best, Validation};
use serde_json::{Map, Value};

use super::super::progress::Progress;

type Values = Map<String, Value>;

/// By step.
#[derive(Clone, Debug, Default)]
pub struct Points(BTreeMap<u64, Values>);

impl Points {
    /// From the lines of `metrics.jsonl`. Of two lines of a step the later holds.
    pub fn from_lines(text: &str) -> Self {
        let values = text.lines().filter_map(|line| {
            let values: Values = serde_json::from_str(line).ok()?;
            Some((values.get("step")?.as_u64()?, values))
        });
        Self(values.collect())
    }

    pub fn lines(&self) -> String {
        let lines = self.0.values().map(|values| {
            let line = Value::Object(values.clone());
            format!("{line}\n")
        });
        lines.collect()
    }

    /// Adds figures of a step and answers the step's all. Those of later steps go: a
    /// job that went on from a checkpoint makes them again.
    pub fn take(&mut self, step: u64, values: Values) -> Values {
        self.0.retain(|number, _| *number <= step);
        let all = self.0.entry(step).or_default();
        all.extend(values);
        all.insert("step".into(), step.into());
        all.clone()
    }

    /// What lists show, and the best validation.
    pub fn progress(&self) -> (Progress, Best) {
        let (mut progress, mut best) = (Progress::default(), Best::default());
        for (step, values) in &self.0 {
            let number = |name: &str| values.get(name).and_then(Value::as_f64);
            if let Some(reward) = number("reward") {
                progress.take(*step, reward);
            }
            if let Some(reward) = number("validation_reward") {
                best.take(Validation {
                    step: *step,
                    reward,
                });
            }
        }
        (progress, best)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(name: &str, value: f64) -> Values {
        Map::from_iter([(name.to_owned(), json!(value))])
    }

    #[test]
    fn figures_of_a_step_are_one_point_and_survive_a_file() {
        let mut points = Points::default();
        points.take(0, values("validation_reward", 0.1));
        points.take(1, values("reward", 0.2));
        let whole = points.take(1, values("validation_reward", 0.4));
        assert_eq!(whole["reward"], 0.2);
        let again = Points::from_lines(&format!("{}{{\"ste", points.lines()));
        assert_eq!(again.lines(), points.lines());
        let (progress, best) = again.progress();
        let summary = progress.summary(1, &best, None);
        assert_eq!((summary.reward, summary.curve), (Some(0.2), vec![0.2]));
        assert_eq!(
            (summary.best_step, summary.best_reward),
            (Some(1), Some(0.4))
        );
    }

    #[test]
    fn steps_that_are_made_again_replace_later_ones() {
        let mut points = Points::default();
        for step in 1..=5 {
            points.take(step, values("reward", 0.1));
        }
        points.take(3, values("reward", 0.9));
        assert_eq!(points.lines().lines().count(), 3);
        assert!(points.lines().ends_with("{\"reward\":0.9,\"step\":3}\n"));
    }
}
