//! Which measures are shown together.

use std::collections::BTreeSet;

use crate::state::chart::{Line, RunPoints};

const GIB: f64 = 1_073_741_824.0;

/// A chart of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Panel {
    pub title: &'static str,
    pub unit: &'static str,
    lines: Vec<Measure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Measure {
    key: String,
    name: String,
    colour: usize,
    dashed: bool,
    /// Its deviation, shown as a band.
    deviation: Option<&'static str>,
}

/// Title, unit, and measures with their names.
type Plain = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const BEFORE_TOOLS: [Plain; 1] = [(
    "Validation reward",
    "",
    &[("validation_reward", "held-out prompts")],
)];

const AFTER_TOOLS: [Plain; 13] = [
    ("Pictures an answer", "", &[("pictures", "pictures")]),
    ("Answer length", "tokens", &[("answer_tokens", "mean")]),
    (
        "Answers cut off at the limit",
        "share",
        &[("cut_share", "share")],
    ),
    (
        "Left out",
        "",
        &[
            ("excluded", "answers excluded"),
            ("flat_groups", "flat groups"),
        ],
    ),
    ("Entropy", "nats", &[("entropy", "mean a token")]),
    ("KL divergence", "nats", &[("kl", "from the first policy")]),
    ("Clipped tokens", "share", &[("clip_share", "share")]),
    ("Gradient norm", "", &[("grad_norm", "before clipping")]),
    ("Loss", "", &[("loss", "loss")]),
    ("Learning rate", "", &[("lr", "learning rate")]),
    ("Speed", "tokens/s", &[("tokens_per_s", "tokens/s")]),
    (
        "Time a step",
        "s",
        &[("rollout_s", "answers"), ("update_s", "updates")],
    ),
    ("Memory", "GiB", &[("memory_bytes", "in use")]),
];

/// The charts of a run that has measured `keys`.
pub fn panels(keys: &BTreeSet<String>) -> Vec<Panel> {
    let mut all = vec![reward(keys), parts(keys)];
    all.extend(
        BEFORE_TOOLS
            .iter()
            .map(|plain_panel| plain(*plain_panel, keys)),
    );
    all.push(tools(keys));
    all.extend(
        AFTER_TOOLS
            .iter()
            .map(|plain_panel| plain(*plain_panel, keys)),
    );
    all.retain(|panel| !panel.lines.is_empty());
    all
}

fn reward(keys: &BTreeSet<String>) -> Panel {
    let mut panel = plain(("Reward", "", &[("reward", "mean ± deviation")]), keys);
    for line in &mut panel.lines {
        line.deviation = Some("reward_deviation");
    }
    panel
}

fn parts(keys: &BTreeSet<String>) -> Panel {
    let parts = keys
        .iter()
        .filter_map(|key| Some((key, key.strip_prefix("part_")?)));
    let lines = parts.enumerate().map(|(colour, (key, term))| Measure {
        key: key.clone(),
        name: term_name(term).to_owned(),
        colour,
        dashed: false,
        deviation: None,
    });
    Panel {
        title: "Parts of the reward",
        unit: "",
        lines: lines.collect(),
    }
}

/// A colour a tool: attempts dashed, successes whole.
fn tools(keys: &BTreeSet<String>) -> Panel {
    const KINDS: [(&str, &str, bool); 2] =
        [("attempts_", "asked", true), ("successes_", "drawn", false)];
    let mut names: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for (prefix, word, dashed) in KINDS {
        for key in keys {
            let Some(tool) = key.strip_prefix(prefix) else {
                continue;
            };
            let colour = names
                .iter()
                .position(|name| *name == tool)
                .unwrap_or_else(|| {
                    names.push(tool);
                    names.len() - 1
                });
            lines.push(Measure {
                key: key.clone(),
                name: format!("{} {word}", tool.replace('_', " ")),
                colour,
                dashed,
                deviation: None,
            });
        }
    }
    Panel {
        title: "Tools an answer",
        unit: "calls",
        lines,
    }
}

fn plain((title, unit, measures): Plain, keys: &BTreeSet<String>) -> Panel {
    let known = measures.iter().filter(|(key, _)| keys.contains(*key));
    let lines = known.enumerate().map(|(colour, (key, name))| Measure {
        key: (*key).to_owned(),
        name: (*name).to_owned(),
        colour,
        dashed: false,
        deviation: None,
    });
    Panel {
        title,
        unit,
        lines: lines.collect(),
    }
}

/// A term of the reward in words.
pub fn term_name(term: &str) -> &str {
    match term {
        "count" => "number of pictures",
        "mllm" => "picture judge",
        "llm" => "text judge",
        "tools" => "tools",
        "format" => "valid tags",
        "length" => "length",
        other => other,
    }
}

impl Panel {
    /// What a run has measured of it.
    pub fn lines(&self, points: &RunPoints) -> Vec<Line> {
        let line = |measure: &Measure| {
            let factor = match self.unit {
                "GiB" => 1.0 / GIB,
                _ => 1.0,
            };
            let series = points.series(&measure.key, factor);
            let deviation = measure.deviation.map(|key| points.series(key, factor));
            Line {
                name: measure.name.clone(),
                colour: measure.colour,
                dashed: measure.dashed,
                band: band(&series, &deviation.unwrap_or_default()),
                points: series,
            }
        };
        self.lines.iter().map(line).collect()
    }
}

/// A deviation on each side, where there is one.
fn band(series: &[(f64, f64)], deviation: &[(f64, f64)]) -> Vec<(f64, f64, f64)> {
    let around = |(step, value): &(f64, f64)| {
        let at = deviation
            .binary_search_by(|(other, _)| other.total_cmp(step))
            .ok()?;
        let (_, deviation) = deviation[at];
        Some((*step, value - deviation, value + deviation))
    };
    series.iter().filter_map(around).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn points() -> RunPoints {
        let point = json!({"step": 3, "reward": 0.5, "reward_deviation": 0.1, "part_count": 0.2,
            "attempts_search": 1.5, "attempts_code": 1.0, "successes_search": 1.25,
            "memory_bytes": 2_147_483_648_u64});
        RunPoints::stored(vec![point.as_object().cloned().unwrap()])
    }

    fn titles(panels: &[Panel]) -> Vec<&'static str> {
        panels.iter().map(|panel| panel.title).collect()
    }

    #[test]
    fn only_what_was_measured_is_shown() {
        let all = panels(&points().keys());
        assert_eq!(
            titles(&all),
            ["Reward", "Parts of the reward", "Tools an answer", "Memory"]
        );
        assert!(panels(&BTreeSet::new()).is_empty());
    }

    #[test]
    fn the_reward_has_its_deviation() {
        let all = panels(&points().keys());
        assert_eq!(all[0].lines(&points())[0].band, [(3.0, 0.4, 0.6)]);
        assert_eq!(all[3].lines(&points())[0].points, [(3.0, 2.0)]);
    }

    #[test]
    fn a_tool_has_one_colour() {
        let all = panels(&points().keys());
        let lines = all[2].lines(&points());
        let seen: Vec<_> = lines
            .iter()
            .map(|line| (line.name.as_str(), line.colour, line.dashed))
            .collect();
        assert_eq!(
            seen,
            [
                ("code asked", 0, true),
                ("search asked", 1, true),
                ("search drawn", 1, false)
            ]
        );
    }
}
