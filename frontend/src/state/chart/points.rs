//! What a run has measured, a point a step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Step and value, in the order of steps.
pub type Series = Vec<(f64, f64)>;

/// A point a step; the last word on a step is the one that counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunPoints {
    points: BTreeMap<u64, Map<String, Value>>,
    /// Attempt and step of the last live point.
    latest: Option<(u32, u64)>,
}

impl RunPoints {
    /// Points that the server has kept.
    pub fn stored(points: Vec<Map<String, Value>>) -> Self {
        let points = points.into_iter();
        let keyed = points.filter_map(|point| Some((step(&point)?, point)));
        Self {
            points: keyed.collect(),
            latest: None,
        }
    }

    /// Takes a point as it is measured. A run that was resumed goes back to its
    /// checkpoint: what it had measured after that no longer holds.
    pub fn take(&mut self, attempt: u32, point: Map<String, Value>) {
        let Some(step) = step(&point) else { return };
        let resumed = self
            .latest
            .is_some_and(|(before, last)| attempt > before || (attempt == before && step < last));
        if resumed {
            self.points.split_off(&step);
        }
        self.latest = Some((attempt, step));
        self.points.insert(step, point);
    }

    /// First and last step.
    pub fn steps(&self) -> Option<(f64, f64)> {
        let first = self.points.first_key_value()?.0;
        let last = self.points.last_key_value()?.0;
        Some((*first as f64, *last as f64))
    }

    /// Names of all that was measured.
    pub fn keys(&self) -> BTreeSet<String> {
        let keys = self.points.values().flat_map(Map::keys);
        keys.filter(|key| *key != "step").cloned().collect()
    }

    /// One measure times `factor`; steps without it are left out.
    pub fn series(&self, key: &str, factor: f64) -> Series {
        let value = |point: &Map<String, Value>| {
            let value = point.get(key)?.as_f64()? * factor;
            value.is_finite().then_some(value)
        };
        let points = self.points.iter();
        points
            .filter_map(|(step, point)| Some((*step as f64, value(point)?)))
            .collect()
    }
}

fn step(point: &Map<String, Value>) -> Option<u64> {
    point.get("step")?.as_u64()
}

/// The value at `step`, or the last one before it.
pub fn value_at(series: &[(f64, f64)], step: f64) -> Option<f64> {
    let after = series.partition_point(|(at, _)| *at <= step);
    series.get(after.checked_sub(1)?).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(step: u64, reward: f64) -> Map<String, Value> {
        let value = json!({"step": step, "reward": reward});
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_step_that_is_known_is_replaced() {
        let mut points = RunPoints::stored(vec![point(2, 0.2), point(1, 0.1)]);
        points.take(1, point(2, 0.5));
        points.take(1, point(3, 0.6));
        assert_eq!(
            points.series("reward", 1.0),
            [(1.0, 0.1), (2.0, 0.5), (3.0, 0.6)]
        );
        assert_eq!(points.steps(), Some((1.0, 3.0)));
    }

    #[test]
    fn a_resumed_run_forgets_what_came_after_its_checkpoint() {
        let mut points = RunPoints::default();
        for step in 1..=9 {
            points.take(1, point(step, 0.1));
        }
        points.take(2, point(6, 0.7));
        let expected: Vec<f64> = (1..=6).map(f64::from).collect();
        let steps: Vec<f64> = points.series("reward", 1.0).iter().map(|at| at.0).collect();
        assert_eq!(steps, expected);
    }

    #[test]
    fn stored_points_stay_when_the_stream_begins_late() {
        let mut points = RunPoints::stored((1..=9).map(|step| point(step, 0.1)).collect());
        points.take(2, point(8, 0.2));
        assert_eq!(points.steps(), Some((1.0, 9.0)));
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let odd = json!({"step": 4, "reward": "high", "loss": null});
        let points = RunPoints::stored(vec![point(1, 2.0), odd.as_object().cloned().unwrap()]);
        assert_eq!(points.series("reward", 0.5), [(1.0, 1.0)]);
        assert!(points.series("loss", 1.0).is_empty());
        assert!(points.keys().contains("loss"));
    }

    #[test]
    fn the_value_at_a_step_is_the_last_one_known() {
        let series = [(0.0, 1.0), (15.0, 2.0)];
        assert_eq!(value_at(&series, 14.0), Some(1.0));
        assert_eq!(value_at(&series, 15.0), Some(2.0));
        assert_eq!(value_at(&series, -1.0), None);
    }
}
