//! The runs loaded so far.

use std::time::Duration;

use illumine_types::training::TrainingRun;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiError};
use crate::browser;
use crate::state::training::list::{page_path, refresh};

/// How often runs that have not ended are asked after.
const REFRESH_EVERY: Duration = Duration::from_secs(4);

/// What loading is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Loading,
    More,
    End,
    Failed(ApiError),
}

/// Runs, newest first, as far as they are loaded.
#[derive(Clone, Copy)]
pub struct RunList {
    pub runs: RwSignal<Vec<TrainingRun>>,
    pub state: RwSignal<State>,
    cursor: StoredValue<Option<String>>,
}

impl RunList {
    pub fn load() -> Self {
        let this = Self {
            runs: RwSignal::new(Vec::new()),
            state: RwSignal::new(State::Loading),
            cursor: StoredValue::new(None),
        };
        browser::every(REFRESH_EVERY, move || this.refresh());
        this.more();
        this
    }

    /// Loads the next page, or tries again after a failure.
    pub fn more(self) {
        self.state.set(State::Loading);
        spawn_local(async move {
            let path = page_path(self.cursor.get_value().as_deref());
            let answer = api::training_runs(&path).await;
            if self.state.is_disposed() {
                return;
            }
            let page = match answer {
                Ok(page) => page,
                Err(error) => return self.state.set(State::Failed(error)),
            };
            self.runs.update(|runs| runs.extend(page.items));
            let last = page.next_cursor.is_none();
            self.state.set(if last { State::End } else { State::More });
            self.cursor.set_value(page.next_cursor);
        });
    }

    /// Asks for the newest page while something on the list is under way.
    fn refresh(self) {
        let under_way = |run: &TrainingRun| !run.job.status.is_final();
        if !browser::is_visible() || !self.runs.read_untracked().iter().any(under_way) {
            return;
        }
        spawn_local(async move {
            let Ok(page) = api::training_runs(&page_path(None)).await else {
                return;
            };
            if !self.runs.is_disposed() {
                self.runs.update(|runs| refresh(runs, page.items));
            }
        });
    }
}
