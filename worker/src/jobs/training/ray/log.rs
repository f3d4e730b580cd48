//! What a job prints: figures of steps, and words.
//!
//! verl's console logger prints a line a step (`verl/utils/logger/aggregate_logger.py`),
//! `step:3 - critic/rewards/mean:0.42 - actor/lr:np.float64(1e-06) - …`, behind the mark
//! that Ray puts before what a worker prints. Another trainer may print
//! `ILLUMINE_METRICS {"step": 3, "reward": 0.42}`, with our names.

use serde_json::{Map, Number, Value};

/// Before a trainer's own line of JSON.
const MARK: &str = "ILLUMINE_METRICS ";
/// Characters of a line that people are shown.
const LINE: usize = 2_000;
const GIB: f64 = 1_073_741_824.0;

/// A line's meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// Figures of the step that ended as number `step`, by our names where we have one.
    Step {
        step: u64,
        values: Map<String, Value>,
    },
    Words(String),
}

/// verl's names and ours, and what its number is multiplied by.
const NAMES: [(&str, &str, f64); 14] = [
    ("critic/rewards/mean", "reward", 1.0),
    ("actor/pg_loss", "loss", 1.0),
    ("actor/entropy", "entropy", 1.0),
    ("actor/grad_norm", "grad_norm", 1.0),
    ("actor/ppo_kl", "kl", 1.0),
    ("actor/pg_clipfrac", "clip_share", 1.0),
    ("actor/lr", "lr", 1.0),
    ("response_length/mean", "answer_tokens", 1.0),
    ("response_length/clip_ratio", "cut_share", 1.0),
    // A second and GPU.
    ("perf/throughput", "tokens_per_s", 1.0),
    ("perf/max_memory_allocated_gb", "memory_bytes", GIB),
    ("timing_s/gen", "rollout_s", 1.0),
    ("timing_s/update_actor", "update_s", 1.0),
    ("timing_s/step", "step_s", 1.0),
];

/// The new lines of a log that was read up to byte `from` before, and up to where they
/// reach: an unfinished line waits until it is whole, or until `all` is wanted. A log
/// that became shorter is another one, and read from its beginning.
pub fn new_lines(log: &str, from: usize, all: bool) -> (Vec<&str>, usize) {
    let (from, rest) = match log.get(from..) {
        Some(rest) => (from, rest),
        None => (0, log),
    };
    let whole = match all {
        true => rest.len(),
        false => rest.rfind('\n').map_or(0, |end| end + 1),
    };
    let lines = rest[..whole].lines().collect();
    (lines, from + whole)
}

/// `None` for a line without words.
pub fn read(line: &str) -> Option<Line> {
    // A progress bar overwrites its line.
    let line = line.rsplit('\r').find(|part| !part.trim().is_empty())?;
    let line = without_colours(line);
    let line = line.trim_end();
    let own = without_worker(line.trim_start());
    if let Some((step, values)) = marked(own).or_else(|| of_verl(own)) {
        return Some(Line::Step { step, values });
    }
    let words: String = without_keys(line).chars().take(LINE).collect();
    (!words.is_empty()).then_some(Line::Words(words))
}

fn marked(line: &str) -> Option<(u64, Map<String, Value>)> {
    let mut values: Map<String, Value> = serde_json::from_str(line.strip_prefix(MARK)?).ok()?;
    let step = values.remove("step")?.as_u64()?;
    values.retain(|_, value| value.is_number());
    Some((step, values))
}

fn of_verl(line: &str) -> Option<(u64, Map<String, Value>)> {
    let mut parts = line.strip_prefix("step:")?.split(" - ");
    let step = parts.next()?.trim().parse().ok()?;
    let mut values = Map::new();
    let mut validations = Vec::new();
    for part in parts {
        // Names of data sources may have colons, numbers have none.
        let Some((name, value)) = part.rsplit_once(':') else {
            continue;
        };
        // What is not a number of a chart (NaN of a step without answers) is left out.
        let Some(value) = number(value) else { continue };
        if is_validation(name) {
            validations.push(value);
        }
        let ours = NAMES.iter().find(|(verl, ..)| *verl == name);
        let (name, value) = ours.map_or((name, value), |(_, ours, factor)| (ours, value * factor));
        if let Some(value) = Number::from_f64(value) {
            values.insert(name.to_owned(), value.into());
        }
    }
    if !validations.is_empty() {
        let mean = validations.iter().sum::<f64>() / validations.len() as f64;
        values.extend(Number::from_f64(mean).map(|mean| ("validation_reward".into(), mean.into())));
    }
    Some((step, values))
}

/// `val-core/<data source>/<acc or reward>/mean@1`: one for each data source.
fn is_validation(name: &str) -> bool {
    name.strip_prefix("val-core/")
        .and_then(|name| name.rsplit('/').next())
        .is_some_and(|measure| measure.starts_with("mean@"))
}

/// As `pprint` prints it: `0.5`, `3`, `np.float64(0.5)`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let bare = match text.split_once('(') {
        Some((kind, rest)) if kind.starts_with("np.") => rest.strip_suffix(')')?,
        Some(_) => return None,
        None => text,
    };
    bare.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Without `(TaskRunner pid=123, ip=10.0.0.1) `, which Ray puts before it.
fn without_worker(line: &str) -> &str {
    match line
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(") "))
    {
        Some((mark, rest)) if mark.contains("pid=") => rest.trim_start(),
        _ => line,
    }
}

/// Without terminal sequences: `ESC [ … letter`.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            plain.push(c);
            continue;
        }
        if rest.next() == Some('[') {
            let _ = rest.find(|c| ('@'..='~').contains(c));
        }
    }
    plain
}

/// With `ilm_***` in place of keys of this installation: a run's job has one.
pub fn without_keys(text: &str) -> String {
    const START: &str = "ilm_";
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let (before, from) = rest.split_at(at + START.len());
        shown.push_str(before);
        let end = from.find(|c| !is_of_key(c)).unwrap_or(from.len());
        // A word of ours is shorter.
        shown.push_str(if end >= 16 { "***" } else { &from[..end] });
        rest = &from[end..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(line: &str) -> (u64, Map<String, Value>) {
        match read(line) {
            Some(Line::Step { step, values }) => (step, values),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn verls_line_of_a_step_has_our_names() {
        let line = "\u{1b}[36m(TaskRunner pid=7, ip=10.0.0.2)\u{1b}[0m step:12 - \
            training/global_step:12 - critic/rewards/mean:np.float64(0.4375) - \
            critic/advantages/min:-1.5 - actor/entropy:0.9 - actor/grad_norm:np.float32(2.5) - \
            actor/ppo_kl:1e-05 - actor/pg_clipfrac:0.0 - actor/lr:1e-06 - actor/pg_loss:-0.25 - \
            response_length/mean:512.5 - response_length/clip_ratio:0.125 - \
            perf/throughput:1234.5 - perf/max_memory_allocated_gb:2 - critic/score/mean:nan - \
            val-core/a:b/acc/mean@1:0.5 - val-core/demo/acc/mean@1:np.float64(0.75) - \
            val-core/demo/acc/best@1/mean:0.9 - val-aux/num_turns/mean:np.int64(2)";
        let (number, values) = step(line);
        assert_eq!(number, 12);
        let expected = [
            ("reward", 0.4375),
            ("critic/advantages/min", -1.5),
            ("entropy", 0.9),
            ("grad_norm", 2.5),
            ("kl", 1e-5),
            ("clip_share", 0.0),
            ("lr", 1e-6),
            ("loss", -0.25),
            ("answer_tokens", 512.5),
            ("cut_share", 0.125),
            ("tokens_per_s", 1234.5),
            ("memory_bytes", 2_147_483_648.0),
            ("validation_reward", 0.625),
            ("val-aux/num_turns/mean", 2.0),
        ];
        for (name, value) in expected {
            assert_eq!(
                values.get(name).and_then(Value::as_f64),
                Some(value),
                "{name}"
            );
        }
        assert!(!values.contains_key("critic/score/mean"), "NaN is no point");
        assert!(!values.contains_key("critic/rewards/mean"));
    }

    #[test]
    fn another_trainers_line_is_json_behind_a_mark() {
        let (number, values) =
            step("ILLUMINE_METRICS {\"step\": 3, \"reward\": 0.5, \"note\": \"x\"}");
        assert_eq!((number, values.len()), (3, 1));
        assert_eq!(values["reward"], 0.5);
        for words in ["ILLUMINE_METRICS {\"reward\": 1}", "ILLUMINE_METRICS {"] {
            assert!(matches!(read(words), Some(Line::Words(_))), "{words}");
        }
    }

    #[test]
    fn words_are_shown_without_colours_and_keys() {
        let key = "ilm_0123456789abcdefghijABCDEFGHIJ0123456789-_a";
        let words = |line: &str| match read(line) {
            Some(Line::Words(words)) => words,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(
            words(&format!("\u{1b}[33mKEY={key}, ilm_x\u{1b}[0m")),
            "KEY=ilm_***, ilm_x"
        );
        assert_eq!(words("Training:  1%|\rTraining:  2%|"), "Training:  2%|");
        assert_eq!(words("step:one - a:1"), "step:one - a:1");
        assert_eq!(words("loading (pid=3) step:1"), "loading (pid=3) step:1");
        assert_eq!(words("    raise ValueError\n"), "    raise ValueError");
        assert_eq!(read("  \r "), None);
        assert_eq!(words(&"é".repeat(5_000)).chars().count(), LINE);
    }

    #[test]
    fn a_log_is_read_on_from_where_it_was() {
        let log = "one\ntwo\nthr";
        let (lines, at) = new_lines(log, 0, false);
        assert_eq!((lines, at), (vec!["one", "two"], 8));
        let longer = "one\ntwo\nthree\n";
        assert_eq!(new_lines(longer, at, false), (vec!["three"], 14));
        assert_eq!(new_lines(longer, 14, true), (vec![], 14));
        assert_eq!(new_lines(log, at, true), (vec!["thr"], 11));
        // Shorter than before, or cut inside a letter: another log.
        assert_eq!(new_lines("new\n", 14, false), (vec!["new"], 4));
        assert_eq!(new_lines("é\n", 1, false), (vec!["é"], 3));
    }
}
