//! The form of a new run: what was typed, and the request that it makes.

use std::collections::BTreeMap;

use illumine_types::training::{Algorithm, Engine, Preset, TrainingConfig, TrainingRunRequest};
use serde_json::{Map, Value};

use super::fields::{self, Field, Kind};

/// A mistake and the field that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// As a JSON path, e.g. `settings.samples`.
    pub field: String,
    pub words: String,
}

/// What the form holds, as typed.
#[derive(Clone, Debug, PartialEq)]
pub struct RunForm {
    pub preset: Preset,
    pub name: String,
    pub engine: Engine,
    pub algorithm: Algorithm,
    pub model: String,
    /// One a line.
    pub dataset: String,
    values: BTreeMap<&'static str, String>,
}

impl Default for RunForm {
    fn default() -> Self {
        Self::of(Preset::default(), String::new())
    }
}

impl RunForm {
    /// Filled by a preset.
    pub fn of(preset: Preset, name: String) -> Self {
        let config = preset.config();
        let values = fields::all().map(|field| (field.path, text(&value_at(&config, field.path))));
        Self {
            preset,
            name,
            engine: config.engine,
            algorithm: config.algorithm,
            values: values.collect(),
            model: config.model,
            dataset: config.dataset.join("\n"),
        }
    }

    /// What stands in a field of [`fields::GROUPS`].
    pub fn value(&self, path: &str) -> &str {
        self.values.get(path).map_or("", String::as_str)
    }

    pub fn set(&mut self, path: &'static str, text: String) {
        self.values.insert(path, text);
    }

    /// Whether a field says something else than the preset.
    pub fn differs(&self, field: &Field) -> bool {
        let preset = value_at(&self.preset.config(), field.path);
        typed(field.kind, self.value(field.path)).is_ok_and(|value| !same(&value, &preset))
    }

    /// The request: of the settings only those that differ from the preset's.
    ///
    /// # Errors
    /// Every field that holds no value of its kind, else the first that cannot
    /// be used.
    pub fn request(&self) -> Result<TrainingRunRequest, Vec<Mistake>> {
        let preset = self.preset.config();
        let mut parts = BTreeMap::from([("settings", Map::new()), ("reward", Map::new())]);
        let mut mistakes = Vec::new();
        for field in fields::all() {
            let value = match typed(field.kind, self.value(field.path)) {
                Ok(value) => value,
                Err(words) => {
                    mistakes.push(Mistake {
                        field: field.path.to_owned(),
                        words: words.to_owned(),
                    });
                    continue;
                }
            };
            if !same(&value, &value_at(&preset, field.path))
                && let Some((part, key)) = field.path.split_once('.')
                && let Some(part) = parts.get_mut(part)
            {
                part.insert(key.to_owned(), value);
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let model = self.model.trim().to_owned();
        let dataset = self.files();
        let request = TrainingRunRequest {
            name: self.name.trim().to_owned(),
            preset: self.preset,
            engine: Some(self.engine).filter(|engine| *engine != preset.engine),
            algorithm: Some(self.algorithm).filter(|algorithm| *algorithm != preset.algorithm),
            model: Some(model).filter(|model| *model != preset.model),
            dataset: Some(dataset).filter(|dataset| *dataset != preset.dataset),
            settings: parts.remove("settings").unwrap_or_default(),
            reward: parts.remove("reward").unwrap_or_default(),
        };
        match request.clone().resolve() {
            Ok(_) => Ok(request),
            Err(error) => Err(vec![Mistake {
                field: error.field,
                words: sentence(&error.reason),
            }]),
        }
    }

    fn files(&self) -> Vec<String> {
        let lines = self.dataset.lines().map(str::trim);
        let named = lines.filter(|line| !line.is_empty());
        named.map(str::to_owned).collect()
    }
}

/// What a field's text means.
fn typed(kind: Kind, text: &str) -> Result<Value, &'static str> {
    let text = text.trim();
    let number = || match text.parse::<u64>() {
        Ok(whole) => Some(Value::from(whole)),
        Err(_) => {
            let number = text.parse::<f64>().ok();
            number.filter(|number| number.is_finite()).map(Value::from)
        }
    };
    match kind {
        Kind::Whole => {
            let whole = text.parse::<u64>();
            whole
                .map(Value::from)
                .map_err(|_| "Give a whole number, 0 or more.")
        }
        Kind::Number => number().ok_or("Give a number, such as 0.2 or 2e-5."),
        Kind::OptionalNumber if text.is_empty() => Ok(Value::Null),
        Kind::OptionalNumber => number().ok_or("Give a number, or nothing for none."),
        Kind::Choice(choices) => match choices.iter().any(|(value, _)| *value == text) {
            true => Ok(Value::from(text)),
            false => Err("Choose one of these."),
        },
    }
}

/// The setting that a field's path names.
pub fn value_at(config: &TrainingConfig, path: &str) -> Value {
    let part = match path.split_once('.') {
        Some(("settings", key)) => serde_json::to_value(&config.settings).map(|all| (all, key)),
        Some(("reward", key)) => serde_json::to_value(config.reward).map(|all| (all, key)),
        _ => return Value::Null,
    };
    part.map_or(Value::Null, |(all, key)| all[key].clone())
}

/// `1` and `1.0` are the same setting.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_u64(), b.as_u64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b || a.as_f64().is_some_and(|number| b.as_f64() == Some(number)),
    }
}

/// A value as a person would type it: `0.2`, `2e-5`, nothing for none.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(value)) if value != 0.0 && value.abs() < 1e-3 => format!("{value:e}"),
            (None, Some(value)) => value.to_string(),
            (None, None) => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    letters.next().map_or_else(String::new, |first| {
        let end = if reason.ends_with('.') { "" } else { "." };
        first
            .to_uppercase()
            .chain(letters)
            .chain(end.chars())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named() -> RunForm {
        RunForm::of(Preset::Demo, "first".into())
    }

    fn complaints(form: &RunForm) -> Vec<(String, String)> {
        let mistakes = form.request().unwrap_err().into_iter();
        mistakes
            .map(|mistake| (mistake.field, mistake.words))
            .collect()
    }

    #[test]
    fn a_preset_alone_sends_its_name() {
        for preset in Preset::ALL {
            let request = RunForm::of(preset, " first ".into()).request().unwrap();
            let expected = json!({"name": "first", "preset": preset, "settings": {}, "reward": {}});
            assert_eq!(serde_json::to_value(request).unwrap(), expected);
        }
    }

    #[test]
    fn what_differs_is_sent() {
        let mut form = named();
        form.set("settings.samples", "4".into());
        form.set("settings.temperature", "1".into());
        form.set("settings.learning_rate", "2e-5".into());
        form.set("settings.dual_clip", " ".into());
        form.set("reward.llm", "0.25".into());
        form.algorithm = Algorithm::Gspo;
        form.dataset = " rows/a.parquet \n\nrows/b.jsonl".into();
        let request = form.request().unwrap();
        assert_eq!(
            Value::Object(request.settings),
            json!({"samples": 4, "dual_clip": null})
        );
        assert_eq!(Value::Object(request.reward), json!({"llm": 0.25}));
        assert_eq!(request.algorithm, Some(Algorithm::Gspo));
        assert_eq!((request.engine, request.model), (None, None));
        let files = ["rows/a.parquet".to_owned(), "rows/b.jsonl".to_owned()];
        assert_eq!(request.dataset, Some(files.to_vec()));
    }

    #[test]
    fn every_field_that_is_no_number_is_named_at_once() {
        let mut form = named();
        form.set("settings.steps", "many".into());
        form.set("settings.epochs", "1.5".into());
        form.set("settings.clip_low", "NaN".into());
        let mistakes = complaints(&form);
        let fields: Vec<&str> = mistakes.iter().map(|mistake| mistake.0.as_str()).collect();
        assert_eq!(
            fields,
            ["settings.steps", "settings.epochs", "settings.clip_low"]
        );
    }

    #[test]
    fn a_value_out_of_range_is_told_at_its_field() {
        let mut form = named();
        form.set("settings.samples", "1".into());
        assert_eq!(
            complaints(&form),
            [("settings.samples".into(), "1: must lie in 2..=128.".into())]
        );
        form = RunForm::default();
        assert_eq!(complaints(&form)[0].0, "name");
        form.name = "x".into();
        form.dataset = " \n".into();
        assert_eq!(complaints(&form)[0].0, "dataset");
    }

    #[test]
    fn what_differs_is_marked() {
        let mut form = named();
        let steps = fields::find("settings.steps").unwrap();
        assert!(!form.differs(steps));
        form.set("settings.steps", "61".into());
        assert!(form.differs(steps));
    }

    #[test]
    fn values_are_written_as_typed() {
        let cases = [
            (json!(2e-5), "2e-5"),
            (json!(1.0), "1"),
            (json!(0.2), "0.2"),
            (json!(3e-4), "3e-4"),
            (json!(16384), "16384"),
            (Value::Null, ""),
        ];
        for (value, words) in cases {
            assert_eq!(text(&value), words);
        }
    }
}
