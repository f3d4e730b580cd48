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
            let known = matches!(*self.samples.read_untracked(), Some(Ok(_)));
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
        due.track();
        shown.load(shown.step());
    });
    // A refreshed answer that says the same must not redraw the page.
    let samples = Memo::new(move |_| shown.samples.get());
    move || match samples.get() {
        None => view! { <Loading words="Fetching samples"/> }.into_any(),
        Some(Err(error)) => {
            let retry = Callback::new(move |()| shown.load(None));
            view! { <Trouble error retry/> }.into_any()
        }
        Some(Ok(samples)) if samples.items.is_empty() && samples.steps.is_empty() => view! {
            <p class="nothing-yet">"No answers have been written down yet."</p>
        }
        .into_any(),
        Some(Ok(samples)) => view! { <Browser samples/> }.into_any(),
    }
}

#[component]
fn Browser(samples: TrainingSamples) -> impl IntoView {
    let shown = expect_context::<Shown>();
    let items = StoredValue::new(samples.items);
    let reading = move || {
        let at = shown.selected.get();
        let sample = items.with_value(|items| items.get(at).cloned());
        match sample {
            Some(sample) => view! { <Reading sample/> }.into_any(),
            None => {
                view! { <p class="nothing-yet">"This step has no answers to read."</p> }.into_any()
            }
        }
    };
    view! {
        <Steps step=samples.step steps=samples.steps/>
        <Complaint words=shown.complaint/>
        <div class="samples" data-testid="samples">
            <List items=items.get_value() selected=shown.selected/>
            <div class="sample-reading">{reading}</div>
        </div>
    }
}

/// Which step is read: a list to choose from, and its neighbours.
#[component]
fn Steps(step: Option<u64>, steps: Vec<u64>) -> impl IntoView {
    let shown = expect_context::<Shown>();
    let at = steps.iter().position(|known| Some(*known) == step);
    let before = at.and_then(|at| steps.get(at.checked_sub(1)?).copied());
    let after = at.and_then(|at| steps.get(at + 1).copied());
    let choose = move |event| {
        if let Ok(step) = event_target_value(&event).parse() {
            shown.load(Some(step));
        }
    };
    let go = |to: Option<u64>, words: &'static str| {
        view! {
            <button type="button" class="button quiet" disabled=to.is_none()
                on:click=move |_| if to.is_some() { shown.load(to) }>{words}</button>
        }
    };
    let choices = steps.into_iter().map(|known| view! {
        <option value=known.to_string() selected=Some(known) == step>{format!("Step {known}")}</option>
    });
    view! {
        <div class="sample-steps">
            <label for="sample-step">"Answers of"</label>
            <select id="sample-step" data-testid="sample-step" on:change=choose>{choices.collect_view()}</select>
            {go(before, "Earlier")}
            {go(after, "Later")}
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
