//! The configuration of a run as rows, beside the defaults and another run's.

use illumine_types::training::TrainingConfig;

use super::fields::{self, Kind};
use super::form::{text, value_at};
use super::words::{algorithm_name, engine_name};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub label: &'static str,
    /// As a request names it.
    pub path: &'static str,
    pub value: String,
    /// Where the value is another than this.
    pub default: Option<String>,
    /// Of the other run, where its value is another.
    pub other: Option<String>,
}

/// All settings of `config`; `other` is a run to compare it with.
pub fn rows(config: &TrainingConfig, other: Option<&TrainingConfig>) -> Vec<Row> {
    let defaults = flat(&TrainingConfig::default());
    let others = other.map(flat);
    let rows = flat(config).into_iter().enumerate();
    rows.map(|(at, (label, path, value))| {
        let default = defaults.get(at).map(|entry| entry.2.clone());
        let other = others.as_ref().and_then(|all| all.get(at));
        let other = other.map(|entry| entry.2.clone());
        Row {
            label,
            path,
            default: default.filter(|default| *default != value),
            other: other.filter(|other| *other != value),
            value,
        }
    })
    .collect()
}

fn flat(config: &TrainingConfig) -> Vec<(&'static str, &'static str, String)> {
    let head = [
        (
            "Algorithm",
            "algorithm",
            algorithm_name(config.algorithm).to_owned(),
        ),
        ("Engine", "engine", engine_name(config.engine).to_owned()),
        ("Model", "model", config.model.clone()),
        ("Data", "dataset", config.dataset.join(", ")),
    ];
    let settings = fields::all().map(|field| {
        let value = text(&value_at(config, field.path));
        let value = match field.kind {
            Kind::Choice(choices) => {
                let known = choices.iter().find(|(word, _)| *word == value);
                known.map_or(value, |(_, words)| (*words).to_owned())
            }
            Kind::OptionalNumber if value.is_empty() => "none".to_owned(),
            _ => value,
        };
        (field.label, field.path, value)
    });
    head.into_iter().chain(settings).collect()
}

#[cfg(test)]
mod tests {
    use illumine_types::training::Preset;

    use super::*;

    fn row<'a>(rows: &'a [Row], path: &str) -> &'a Row {
        rows.iter().find(|row| row.path == path).unwrap()
    }

    #[test]
    fn what_differs_from_the_defaults_is_marked() {
        let rows = rows(&Preset::Demo.config(), None);
        assert_eq!(row(&rows, "settings.steps").default.as_deref(), Some("100"));
        assert_eq!(row(&rows, "settings.samples").default, None);
        assert_eq!(row(&rows, "settings.dual_clip").value, "10");
        assert!(rows.iter().all(|row| row.other.is_none()));
    }

    #[test]
    fn what_differs_from_another_run_is_shown() {
        let rows = rows(
            &Preset::Demo.config(),
            Some(&Preset::Qwen330bA3bGspo.config()),
        );
        assert_eq!(row(&rows, "algorithm").other.as_deref(), Some("GSPO"));
        assert_eq!(
            row(&rows, "settings.dual_clip").other.as_deref(),
            Some("none")
        );
        assert_eq!(row(&rows, "settings.seed").other, None);
    }
}
