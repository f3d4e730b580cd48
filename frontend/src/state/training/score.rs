//! A score explained: why an answer was worth what it was.

use illumine_types::training::TrainingSample;
use serde_json::Value;

use super::panels::term_name;
use crate::state::chart::number;

/// What became of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Scored(f64),
    /// It is left out of its group, for this reason.
    Excluded(String),
    /// There is no score, for this reason.
    Failed(String),
    Unknown,
}

/// A term as it entered the reward.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub name: String,
    pub weight: f64,
    pub value: f64,
    pub contribution: f64,
}

/// What a judge said.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    pub name: String,
    pub value: Option<f64>,
    /// Each of its scores, by name.
    pub scores: Vec<(String, String)>,
    pub words: Option<String>,
    /// The policy that judged.
    pub by: Option<String>,
}

/// All that a score says, as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub verdict: Verdict,
    pub terms: Vec<Term>,
    /// Terms that do not apply, and why.
    pub absent: Vec<(String, String)>,
    pub judges: Vec<Judge>,
    /// Counts, by name.
    pub facts: Vec<(&'static str, String)>,
}

impl Explained {
    pub fn of(sample: &TrainingSample) -> Self {
        let breakdown = &sample.score["breakdown"];
        Self {
            verdict: verdict(sample),
            terms: list(&breakdown["terms"]).iter().filter_map(term).collect(),
            absent: list(&breakdown["absent"])
                .iter()
                .filter_map(absent)
                .collect(),
            judges: ["llm", "mllm"]
                .into_iter()
                .filter_map(|name| judge(name, &breakdown[name]))
                .collect(),
            facts: facts(breakdown),
        }
    }
}

fn verdict(sample: &TrainingSample) -> Verdict {
    let verdict = &sample.score["verdict"];
    let reason = || words(&verdict["reason"]).or_else(|| words(&verdict["code"]));
    match (verdict["status"].as_str(), &sample.failure) {
        (Some("scored"), _) => match verdict["reward"].as_f64() {
            Some(reward) => Verdict::Scored(reward),
            None => Verdict::Unknown,
        },
        (Some("excluded"), _) => {
            Verdict::Excluded(reason().unwrap_or_else(|| "no reason was given".into()))
        }
        (_, Some(failure)) => Verdict::Failed(failure.clone()),
        _ => Verdict::Unknown,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn words(value: &Value) -> Option<String> {
    let words = value.as_str().filter(|words| !words.trim().is_empty());
    words.map(str::to_owned)
}

fn term(term: &Value) -> Option<Term> {
    let weight = term["weight"].as_f64()?;
    let value = term["value"].as_f64()?;
    Some(Term {
        name: term_name(term["name"].as_str()?).to_owned(),
        weight,
        value,
        contribution: term["contribution"].as_f64().unwrap_or(weight * value),
    })
}

fn absent(term: &Value) -> Option<(String, String)> {
    let name = term_name(term["name"].as_str()?).to_owned();
    Some((name, words(&term["reason"]).unwrap_or_default()))
}

fn judge(name: &str, part: &Value) -> Option<Judge> {
    part.is_object().then(|| {
        let scores = part["scores"].as_object().into_iter().flatten();
        let scores = scores.map(|(name, value)| {
            let value = value.as_f64().map_or_else(|| value.to_string(), number);
            (name.replace('_', " "), value)
        });
        Judge {
            name: term_name(name).to_owned(),
            value: part["value"].as_f64(),
            scores: scores.collect(),
            words: words(&part["words"]),
            by: words(&part["judge"]),
        }
    })
}

fn facts(breakdown: &Value) -> Vec<(&'static str, String)> {
    let asked = breakdown["image_num"].as_i64().map(|asked| match asked {
        -1 => "none".to_owned(),
        0 => "as many as it likes".to_owned(),
        99 => "at least one".to_owned(),
        n => n.to_string(),
    });
    let counted = |key: &str| breakdown[key].as_f64().map(number);
    let all = [
        ("Pictures asked for", asked),
        ("Pictures made", counted("made")),
        ("Tags", counted("tags")),
        ("Valid tags", counted("valid_tags")),
    ];
    let known = all.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(score: Value) -> TrainingSample {
        TrainingSample {
            prompt: "p".into(),
            sample: 0,
            document: None,
            score,
            failure: None,
        }
    }

    #[test]
    fn a_score_is_told_term_by_term() {
        let explained = Explained::of(&sample(json!({
            "id": "x",
            "verdict": {"status": "scored", "reward": 0.62},
            "breakdown": {"image_num": 99, "made": 2, "tags": 3, "valid_tags": 2, "count": 1.0,
                "llm": {"value": 0.8, "scores": {"text": 4.0, "image": 4.5}, "words": "Good.",
                    "judge": "endpoint:q", "asked": 1, "cached": false},
                "format": 0.66,
                "terms": [{"name": "count", "weight": 0.5, "value": 1.0, "contribution": 0.5},
                    {"name": "format", "weight": 0.2, "value": 0.6}],
                "absent": [{"name": "mllm", "reason": "no judge is named"}]},
        })));
        assert_eq!(explained.verdict, Verdict::Scored(0.62));
        assert_eq!(explained.terms[0].name, "number of pictures");
        assert!((explained.terms[1].contribution - 0.12).abs() < 1e-12);
        assert_eq!(explained.absent[0].1, "no judge is named");
        assert_eq!(
            explained.judges[0].scores[0],
            ("image".into(), "4.5".into())
        );
        assert_eq!(explained.judges[0].words.as_deref(), Some("Good."));
        assert_eq!(
            explained.facts[0],
            ("Pictures asked for", "at least one".into())
        );
        assert_eq!(explained.facts[3], ("Valid tags", "2".into()));
    }

    #[test]
    fn an_excluded_answer_says_why() {
        let explained = Explained::of(&sample(json!({
            "verdict": {"status": "excluded", "code": "judge_timeout", "reason": "the judge was silent"},
        })));
        assert_eq!(
            explained.verdict,
            Verdict::Excluded("the judge was silent".into())
        );
        assert!(explained.terms.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for score in [Value::Null, json!([1]), json!({"verdict": "good"})] {
            assert_eq!(Explained::of(&sample(score)).verdict, Verdict::Unknown);
        }
    }
}
