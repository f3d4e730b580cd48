use illumine_types::training::{TrainingSample, TrainingSamples};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::list::List;
use super::score::Score;
use super::sheet::Sheet;
use crate::api::{self, ApiError};
use crate::components::status::{Complaint, Loading, Trouble};
use crate::components::training::run::RunSession;

/// The samples that are shown.
#[derive(Clone, Copy)]
struct Shown {
    id: StoredValue<String>,
    samples: RwSignal<Option<Result<TrainingSamples, ApiError>>>,
    /// Why another step could not be fetched.
    complaint: RwSignal<Option<String>>,
    selected: RwSignal<usize>,
    /// Answers to an earlier choice are thrown away.
    turn: StoredValue<u32>,
}

impl Shown {
    /// Fetches a step, or the newest one.
    fn load(self, step: Option<u64>) {
        self.turn.update_value(|turn| *turn += 1);
        let turn = self.turn.get_value();
        self.complaint.set(None);
        spawn_local(async move {
            let answer = api::training_samples(&self.id.get_value(), step).await;
            if self.turn.is_disposed() || self.turn.get_value() != turn {
                return;
            }
            let before = self.step();
            let known = match &*self.samples.read_untracked() {
                Some(Ok(samples)) => !samples.items.is_empty(),
                _ => false,
            };
            match answer {
                // What is shown already stays.
                Err(error) if known => self.complaint.set(Some(error.to_string())),
                answer => {
                    self.samples.set(Some(answer));
                    if self.step() != before {
                        self.selected.set(0);
                    }
                }
            }
        });
    }

    /// Something of the samples, told again only when it changes.
    fn part<T: PartialEq + Send + Sync + 'static>(
        self,
        part: fn(&TrainingSamples) -> T,
    ) -> Memo<Option<T>> {
        Memo::new(move |_| match self.samples.read().as_ref() {
            Some(Ok(samples)) => Some(part(samples)),
            _ => None,
        })
    }

    fn step(self) -> Option<u64> {
        match self.samples.read_untracked().as_ref() {
            Some(Ok(samples)) => samples.step,
            _ => None,
        }
    }
}

/// A step, its prompts with their answers, and the one that is read.
#[component]
pub fn Samples() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let shown = Shown {
        id: StoredValue::new(session.id()),
        samples: RwSignal::new(None),
        complaint: RwSignal::new(None),
        selected: RwSignal::new(0),
        turn: StoredValue::new(0),
    };
    provide_context(shown);
    // There may be new ones after this many steps. Who is reading is not
    // disturbed: the step stays, only the choice of steps grows.
    let due = Memo::new(move |_| {
        let run = session.run.read();
        let run = run.as_ref()?;
        let every = run.config.settings.samples_every.max(1);
        Some((run.summary.step / every, run.job.status.is_final()))
    });
    Effect::new(move |_| {
        // Read, not only tracked: a memo that was never read hears of nothing.
        due.get();
        shown.load(shown.step());
    });
    let state = Memo::new(move |_| match shown.samples.read().as_ref() {
        None => State::Loading,
        Some(Err(error)) => State::Failed(error.clone()),
        Some(Ok(samples)) if samples.items.is_empty() && samples.steps.is_empty() => State::Empty,
        Some(Ok(_)) => State::Known,
    });
    move || match state.get() {
        State::Loading => view! { <Loading words="Fetching samples"/> }.into_any(),
        State::Failed(error) => {
            let retry = Callback::new(move |()| shown.load(None));
            view! { <Trouble error retry/> }.into_any()
        }
        State::Empty => view! {
            <p class="nothing-yet">"No answers have been written down yet."</p>
        }
        .into_any(),
        State::Known => view! { <Browser/> }.into_any(),
    }
}

#[derive(Clone, PartialEq)]
enum State {
    Loading,
    Failed(ApiError),
    Empty,
    Known,
}

#[component]
fn Browser() -> impl IntoView {
    let shown = expect_context::<Shown>();
    // A refreshed answer that says the same must not redraw the page.
    let items = shown.part(|samples| samples.items.clone());
    let reading = move || {
        let items = items.read();
        let sample = items
            .as_ref()
            .and_then(|items| items.get(shown.selected.get()));
        match sample.cloned() {
            Some(sample) => view! { <Reading sample/> }.into_any(),
            None => {
                view! { <p class="nothing-yet">"This step has no answers to read."</p> }.into_any()
            }
        }
    };
    view! {
        <Steps/>
        <Complaint words=shown.complaint/>
        <div class="samples" data-testid="samples">
            {move || view! { <List items=items.get().unwrap_or_default() selected=shown.selected/> }}
            <div class="sample-reading">{reading}</div>
        </div>
    }
}

/// Which step is read: a list to choose from, and its neighbours.
#[component]
fn Steps() -> impl IntoView {
    let shown = expect_context::<Shown>();
    let step = shown.part(|samples| samples.step);
    let step = Memo::new(move |_| step.get().flatten());
    let steps = shown.part(|samples| samples.steps.clone());
    let choose = move |event| {
        if let Ok(step) = event_target_value(&event).parse() {
            shown.load(Some(step));
        }
    };
    let choices = move || {
        let choice = |known: u64| {
            view! {
                <option value=known.to_string() selected=move || step.get() == Some(known)>
                    {format!("Step {known}")}
                </option>
            }
        };
        let steps = steps.get().unwrap_or_default().into_iter();
        steps.map(choice).collect_view()
    };
    let beside = move |later: bool| {
        let steps = steps.read();
        let steps = steps.as_ref()?;
        let at = steps.iter().position(|known| Some(*known) == step.get())?;
        let at = if later { at + 1 } else { at.checked_sub(1)? };
        steps.get(at).copied()
    };
    let neighbour = move |later: bool, words: &'static str| {
        let go = move |_| {
            if let Some(step) = untrack(|| beside(later)) {
                shown.load(Some(step));
            }
        };
        view! {
            <button type="button" class="button quiet" disabled=move || beside(later).is_none()
                on:click=go>{words}</button>
        }
    };
    view! {
        <div class="sample-steps">
            <label for="sample-step">"Answers of"</label>
            <select id="sample-step" data-testid="sample-step" on:change=choose>{choices}</select>
            {neighbour(false, "Earlier")}
            {neighbour(true, "Later")}
        </div>
    }
}

/// The document as it was written, and its score beside it.
#[component]
fn Reading(sample: TrainingSample) -> impl IntoView {
    let sheet = match sample.document.clone() {
        Some(document) => view! { <Sheet document/> }.into_any(),
        None => view! { <p class="nothing-yet">"There is no document."</p> }.into_any(),
    };
    view! {
        <div class="sample-document">
            <blockquote class="prompt-quote" title="The prompt">{sample.prompt.clone()}</blockquote>
            {sheet}
        </div>
        <Score sample/>
    }
}
