//! The table of runs, and which of them are compared.

use illumine_types::training::TrainingRun;

use crate::state::filter::encoded;

/// Runs asked for at a time.
pub const PAGE_SIZE: usize = 50;
/// As many as there are colours.
pub const MOST_COMPARED: usize = 6;

/// Path of the page of runs at `cursor`.
pub fn page_path(cursor: Option<&str>) -> String {
    let cursor = cursor.map(|cursor| format!("&cursor={}", encoded(cursor)));
    format!(
        "/training-runs?limit={PAGE_SIZE}{}",
        cursor.unwrap_or_default()
    )
}

/// Brings `runs` in step with the newest page: known ones are replaced where
/// they stand, new ones come first.
pub fn refresh(runs: &mut Vec<TrainingRun>, newest: Vec<TrainingRun>) {
    let mut fresh = Vec::new();
    for run in newest {
        match runs.iter_mut().find(|known| known.job.id == run.job.id) {
            Some(known) => *known = run,
            None => fresh.push(run),
        }
    }
    runs.splice(0..0, fresh);
}

/// Adds `id` or takes it away; no more than [`MOST_COMPARED`].
pub fn toggle(chosen: &mut Vec<String>, id: &str) {
    match chosen.iter().position(|other| other == id) {
        Some(at) => drop(chosen.remove(at)),
        None if chosen.len() < MOST_COMPARED => chosen.push(id.to_owned()),
        None => {}
    }
}

/// Address of the comparison.
pub fn compare_path(chosen: &[String]) -> String {
    format!("/training/compare?runs={}", chosen.join(","))
}

/// The runs that an address names, each once.
pub fn compared(query: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in query.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        if ids.len() < MOST_COMPARED && !ids.iter().any(|other| other == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(id: &str, step: u64) -> TrainingRun {
        let value = json!({
            "job": {"id": format!("run_{id:0>26}"), "kind": "training_run", "status": "running",
                "sequence": 1, "title": "t", "priority": "normal", "attempt": 1,
                "created_at": "2026-01-01T00:00:00Z"},
            "config": illumine_types::training::TrainingConfig::default(),
            "summary": {"step": step},
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn new_runs_come_first_and_known_ones_keep_their_place() {
        let mut runs = vec![run("B", 1), run("A", 5)];
        refresh(&mut runs, vec![run("C", 0), run("B", 2)]);
        let steps: Vec<u64> = runs.iter().map(|run| run.summary.step).collect();
        assert_eq!(steps, [0, 2, 5]);
    }

    #[test]
    fn six_runs_are_compared_at_most() {
        let mut chosen = Vec::new();
        for id in ["a", "b", "c", "d", "e", "f", "g"] {
            toggle(&mut chosen, id);
        }
        assert_eq!(chosen.len(), MOST_COMPARED);
        toggle(&mut chosen, "a");
        assert_eq!(compare_path(&chosen), "/training/compare?runs=b,c,d,e,f");
        assert_eq!(compared(" b,c,,b,d"), ["b", "c", "d"]);
    }

    #[test]
    fn the_server_is_asked_for_a_page() {
        assert_eq!(page_path(None), "/training-runs?limit=50");
        assert_eq!(page_path(Some("a/")), "/training-runs?limit=50&cursor=a%2F");
    }
}
