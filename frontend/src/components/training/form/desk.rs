//! The form's signals, shared by its parts.

use illumine_types::training::{Preset, TrainingRunRequest};
use leptos::prelude::*;

use crate::api::ApiError;
use crate::browser;
use crate::state::training::fields;
use crate::state::training::form::{Mistake, RunForm};

#[derive(Clone, Copy)]
pub struct Desk {
    pub form: RwSignal<RunForm>,
    mistakes: RwSignal<Vec<Mistake>>,
    /// What is about no field of the form.
    pub general: RwSignal<Option<String>>,
}

impl Desk {
    pub fn new() -> Self {
        Self {
            form: RwSignal::new(RunForm::default()),
            mistakes: RwSignal::new(Vec::new()),
            general: RwSignal::new(None),
        }
    }

    /// Fills everything but the name.
    pub fn choose(self, preset: Preset) {
        self.form
            .update(|form| *form = RunForm::of(preset, std::mem::take(&mut form.name)));
        self.mistakes.set(Vec::new());
    }

    pub fn write(self, field: &'static str, change: impl FnOnce(&mut RunForm)) {
        self.form.update(change);
        self.mistakes
            .update(|all| all.retain(|mistake| mistake.field != field));
    }

    /// The request, if there is nothing to complain about.
    pub fn checked(self) -> Option<TrainingRunRequest> {
        self.general.set(None);
        match self.form.with_untracked(RunForm::request) {
            Ok(request) => {
                self.mistakes.set(Vec::new());
                Some(request)
            }
            Err(mistakes) => {
                self.blame(mistakes);
                None
            }
        }
    }

    /// Puts the server's complaint beside the field that it names.
    pub fn refused(self, error: &ApiError) {
        if let ApiError::Refused { problem, .. } = error
            && let Some(field) = problem.field.clone()
        {
            let words = problem.detail.clone();
            self.blame(vec![Mistake { field, words }]);
            return;
        }
        self.general.set(Some(error.to_string()));
    }

    /// Shows mistakes beside their fields, and goes to the first.
    fn blame(self, mistakes: Vec<Mistake>) {
        let (known, unknown): (Vec<_>, Vec<_>) = mistakes
            .into_iter()
            .partition(|mistake| is_field(&mistake.field));
        if let Some(first) = known.first() {
            browser::focus(&field_id(&first.field));
        }
        self.mistakes.set(known);
        let words = unknown.iter().map(|mistake| mistake.words.as_str());
        let words = words.collect::<Vec<_>>().join(" ");
        self.general
            .set(Some(words).filter(|words| !words.is_empty()));
    }

    pub fn mistake(self, field: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || {
            let mistakes = self.mistakes.read();
            let mistake = mistakes.iter().find(|mistake| mistake.field == field);
            mistake.map(|mistake| mistake.words.clone())
        })
    }
}

fn is_field(path: &str) -> bool {
    const HEAD: [&str; 6] = ["name", "preset", "engine", "algorithm", "model", "dataset"];
    // That all factors are 0 is said under their title.
    HEAD.contains(&path) || path == "reward" || fields::find(path).is_some()
}

/// Of the element in which a field is typed.
pub fn field_id(path: &str) -> String {
    format!("run-{}", path.replace('.', "-"))
}
