//! A few runs on the same axes: what each has measured, and which are shown.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::chart::Swatch;
use crate::api::{self, ApiError};
use crate::state::chart::{Line, RunPoints};

/// What is compared.
const KEYS: [&str; 3] = ["reward", "validation_reward", "answer_tokens"];

#[derive(Clone, Debug, PartialEq)]
struct Run {
    id: String,
    name: String,
    /// Keeps its colour while others are switched off.
    colour: usize,
    points: RunPoints,
}

#[derive(Clone, Copy)]
pub struct Comparison {
    ids: StoredValue<Vec<String>>,
    runs: RwSignal<Vec<Run>>,
    /// Switched off in the legend.
    hidden: RwSignal<Vec<String>>,
    pub loading: RwSignal<bool>,
    pub trouble: RwSignal<Option<ApiError>>,
}

impl Comparison {
    pub fn load(ids: Vec<String>) -> Self {
        let this = Self {
            ids: StoredValue::new(ids),
            runs: RwSignal::new(Vec::new()),
            hidden: RwSignal::new(Vec::new()),
            loading: RwSignal::new(false),
            trouble: RwSignal::new(None),
        };
        this.again();
        this
    }

    /// Fetches the runs that are still missing, one after the other.
    pub fn again(self) {
        self.trouble.set(None);
        self.loading.set(true);
        spawn_local(async move {
            for (colour, id) in self.ids.get_value().into_iter().enumerate() {
                let known = |run: &Run| run.id == id;
                if self.runs.read_untracked().iter().any(known) {
                    continue;
                }
                let answer = fetch(id, colour).await;
                if self.runs.is_disposed() {
                    return;
                }
                match answer {
                    Ok(run) => self.runs.update(|runs| runs.push(run)),
                    // The others are shown all the same.
                    Err(error) => self.trouble.set(Some(error)),
                }
            }
            self.loading.set(false);
        });
    }

    /// First and last step of all runs.
    pub fn steps(self) -> Memo<(f64, f64)> {
        Memo::new(move |_| {
            let runs = self.runs.read();
            let extents = runs.iter().filter_map(|run| run.points.steps());
            let whole = extents.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            whole.unwrap_or((0.0, 1.0))
        })
    }

    /// A line a run that is switched on.
    pub fn lines(self, key: &'static str) -> Memo<Vec<Line>> {
        Memo::new(move |_| {
            let hidden = self.hidden.read();
            let runs = self.runs.read();
            let shown = runs.iter().filter(|run| !hidden.contains(&run.id));
            let line = |run: &Run| Line {
                name: run.name.clone(),
                colour: run.colour,
                points: run.points.series(key, 1.0),
                ..Line::default()
            };
            shown.map(line).collect()
        })
    }
}

async fn fetch(id: String, colour: usize) -> Result<Run, ApiError> {
    let run = api::training_run(&id).await?;
    let stored = api::metrics(&id, &KEYS).await?;
    Ok(Run {
        id,
        colour,
        name: run.config.name,
        points: RunPoints::stored(stored.points),
    })
}

/// The runs by name; each can be switched off and on.
#[component]
pub fn Legend() -> impl IntoView {
    let comparison = expect_context::<Comparison>();
    let hidden = comparison.hidden;
    let entry = move |run: Run| {
        let id = StoredValue::new(run.id.clone());
        let shown = move || id.with_value(|id| !hidden.read().contains(id));
        let switch = move |event| {
            let on = event_target_checked(&event);
            id.with_value(|id| {
                hidden.update(|hidden| {
                    hidden.retain(|other| other != id);
                    if !on {
                        hidden.push(id.clone());
                    }
                });
            });
        };
        view! {
            <li>
                <label class="check">
                    <input type="checkbox" prop:checked=shown on:change=switch/>
                    <Swatch colour=run.colour dashed=false/>
                    {run.name}
                </label>
                <a class="compare-open" href=format!("/training/{}", run.id)>"Open"</a>
            </li>
        }
    };
    view! {
        <ul class="compare-legend" aria-label="Runs" data-testid="compare-legend">
            {move || comparison.runs.get().into_iter().map(entry).collect_view()}
        </ul>
    }
}
