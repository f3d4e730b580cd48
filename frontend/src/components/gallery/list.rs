//! The pages of jobs loaded so far.

use illumine_types::Job;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiError};
use crate::browser;
use crate::state::filter::Filter;

/// How often documents still in the making are asked after.
const REFRESH_EVERY: std::time::Duration = std::time::Duration::from_secs(4);
/// Asked after at a time.
const REFRESH_AT_MOST: usize = 6;

/// What loading is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum ListState {
    Loading,
    /// More may follow.
    More,
    End,
    Failed(ApiError),
}

/// Jobs that match a filter, newest first, as far as they are loaded.
#[derive(Clone, Copy)]
pub struct List {
    pub jobs: RwSignal<Vec<Job>>,
    pub state: RwSignal<ListState>,
    filter: StoredValue<Filter>,
    cursor: StoredValue<Option<String>>,
    /// Answers to an earlier filter are thrown away.
    turn: StoredValue<u32>,
}

impl List {
    pub fn new() -> Self {
        let this = Self {
            jobs: RwSignal::new(Vec::new()),
            state: RwSignal::new(ListState::Loading),
            filter: StoredValue::new(Filter::default()),
            cursor: StoredValue::new(None),
            turn: StoredValue::new(0),
        };
        browser::every(REFRESH_EVERY, move || this.refresh());
        this
    }

    /// Begins again with another filter.
    pub fn show(self, filter: Filter) {
        self.filter.set_value(filter);
        self.cursor.set_value(None);
        self.turn.update_value(|turn| *turn += 1);
        self.load(true);
    }

    /// Loads the next page, if there may be one.
    pub fn more(self) {
        if matches!(*self.state.read_untracked(), ListState::More) {
            self.load(false);
        }
    }

    /// Tries again after a failure.
    pub fn again(self) {
        let afresh = self.jobs.read_untracked().is_empty();
        self.load(afresh);
    }

    fn load(self, afresh: bool) {
        self.state.set(ListState::Loading);
        let turn = self.turn.get_value();
        spawn_local(async move {
            let mut afresh = afresh;
            loop {
                let cursor = self.cursor.get_value();
                let path = self
                    .filter
                    .with_value(|filter| filter.api_path(cursor.as_deref()));
                let answer = api::jobs(&path).await;
                if self.turn.is_disposed() || self.turn.get_value() != turn {
                    return;
                }
                let page = match answer {
                    Ok(page) => page,
                    Err(error) => return self.state.set(ListState::Failed(error)),
                };
                let found = !page.items.is_empty();
                let last = page.next_cursor.is_none();
                self.cursor.set_value(page.next_cursor);
                if std::mem::take(&mut afresh) {
                    self.jobs.set(page.items);
                } else {
                    self.jobs.update(|jobs| jobs.extend(page.items));
                }
                if last {
                    return self.state.set(ListState::End);
                }
                // A search may look through many jobs and find none yet.
                if found {
                    return self.state.set(ListState::More);
                }
            }
        });
    }

    /// Asks after what is still being made.
    fn refresh(self) {
        if !browser::is_visible() {
            return;
        }
        let jobs = self.jobs.read_untracked();
        let unfinished = jobs.iter().filter(|job| !job.status.is_final());
        let ids: Vec<_> = unfinished
            .take(REFRESH_AT_MOST)
            .map(|job| job.id.clone())
            .collect();
        drop(jobs);
        for id in ids {
            spawn_local(async move {
                let Ok(new) = api::job(id.as_str()).await else {
                    return;
                };
                if self.turn.is_disposed() {
                    return;
                }
                self.jobs.update(|jobs| {
                    if let Some(job) = jobs.iter_mut().find(|job| job.id == new.id) {
                        *job = new;
                    }
                });
            });
        }
    }
}
