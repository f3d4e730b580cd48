//! `GET /api/v1/training-runs/{id}/metrics`.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use illumine_types::Problem;
use illumine_types::training::MetricPoints;
use serde_json::{Map, Value};

use super::known_run;
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::query::Parameters;
use crate::state::State;

const MOST: usize = 5_000;
const USUAL: usize = 1_000;
const STEP: &str = "step";

type Point = Map<String, Value>;

/// What a run measured, a point a step, ascending.
///
/// More points than asked for are thinned out evenly; the first and the last
/// stay. With `keys`, steps that have none of them are left out before that.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs/{id}/metrics",
    tag = "training",
    params(
        ("keys" = Option<String>, Query, description = "Names, with commas between; all if left out. `step` is always there"),
        ("from" = Option<u64>, Query, description = "Steps at or after this one"),
        ("max_points" = Option<usize>, Query, description = "1 to 5000; 1000 if left out"),
    ),
    responses(
        (status = 200, body = MetricPoints),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn metrics(
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<MetricPoints>> {
    let wanted = Wanted::read(&Parameters::read(
        &request,
        &["keys", "from", "max_points"],
    )?)?;
    let job = known_run(&state, &id).await?;
    let lines = state.store.training().metrics(&job.id).await?;
    // Long runs have many lines.
    let points = tokio::task::spawn_blocking(move || wanted.of(&lines))
        .await
        .map_err(ApiError::internal)?;
    Ok(Json(MetricPoints { points }))
}

/// Which points, and what of them.
struct Wanted {
    /// `None` for everything.
    keys: Option<Vec<String>>,
    from: u64,
    most: usize,
}

impl Wanted {
    fn read(query: &Parameters) -> Result<Self> {
        let keys = query.text("keys").map(|keys| {
            let keys = keys.split(',').map(str::trim);
            keys.filter(|key| !key.is_empty())
                .map(str::to_owned)
                .collect()
        });
        let from = query.parsed("from", "the number of a step", |text| text.parse().ok())?;
        let most = query.parsed(
            "max_points",
            &format!("a number from 1 to {MOST}"),
            |text| text.parse().ok().filter(|most| (1..=MOST).contains(most)),
        )?;
        Ok(Self {
            keys,
            from: from.unwrap_or(0),
            most: most.unwrap_or(USUAL),
        })
    }

    /// Lines that cannot be read are left out: the last may be half written. Of
    /// two lines of a step the later holds, as a resumed run does steps again.
    fn of(&self, lines: &[u8]) -> Vec<Point> {
        let mut points = BTreeMap::new();
        for line in lines.split(|byte| *byte == b'\n') {
            let Ok(point) = serde_json::from_slice::<Point>(line) else {
                continue;
            };
            let step = point.get(STEP).and_then(Value::as_u64);
            if let Some(step) = step.filter(|step| *step >= self.from) {
                points.insert(step, self.only(point));
            }
        }
        thinned(points.into_values().flatten().collect(), self.most)
    }

    /// What was asked for of a point, if it has any of it.
    fn only(&self, mut point: Point) -> Option<Point> {
        let Some(keys) = &self.keys else {
            return Some(point);
        };
        let has_some = keys.iter().any(|key| point.contains_key(key));
        point.retain(|key, _| key == STEP || keys.contains(key));
        has_some.then_some(point)
    }
}

/// At most `most` of them at even distances, from the first to the last; of one,
/// the last.
fn thinned(mut points: Vec<Point>, most: usize) -> Vec<Point> {
    let last = points.len().saturating_sub(1);
    if points.len() <= most {
        return points;
    }
    let gaps = most.saturating_sub(1);
    if gaps == 0 {
        return points.split_off(last);
    }
    // There are more than are kept, so no two of these are the same.
    let kept = (0..=gaps).map(|place| place * last / gaps);
    kept.map(|index| std::mem::take(&mut points[index]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(points: &[Point]) -> Vec<u64> {
        let steps = points.iter().map(|point| point[STEP].as_u64().unwrap());
        steps.collect()
    }

    #[test]
    fn thinning_keeps_the_ends_and_even_distances() {
        let lines: Vec<String> = (0..101)
            .map(|step| format!("{{\"step\":{step}}}"))
            .collect();
        let lines = lines.join("\n");
        for (most, expected) in [
            (1, vec![100]),
            (2, vec![0, 100]),
            (5, vec![0, 25, 50, 75, 100]),
            (101, (0..101).collect()),
            (102, (0..101).collect()),
        ] {
            let wanted = Wanted {
                keys: None,
                from: 0,
                most,
            };
            assert_eq!(steps(&wanted.of(lines.as_bytes())), expected, "{most}");
        }
        for most in 2..101 {
            let wanted = Wanted {
                keys: None,
                from: 0,
                most,
            };
            let kept = steps(&wanted.of(lines.as_bytes()));
            assert_eq!((kept.len(), kept[0], kept[most - 1]), (most, 0, 100));
            assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "{most}");
        }
    }
}
