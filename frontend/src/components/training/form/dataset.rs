use illumine_types::dataset::Dataset;
use illumine_types::training::DEMO_DATASET;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use crate::api;
use crate::components::status::Complaint;
use crate::state::training::dataset::choice;

/// Of the choice that is typed.
const OTHER: &str = "";

/// What the run learns from: a dataset that is here, or names that are typed.
#[component]
pub fn DatasetChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let mistake = desk.mistake("dataset");
    let known = RwSignal::new(Vec::<Dataset>::new());
    let trouble = RwSignal::new(None::<String>);
    spawn_local(async move {
        let answer = api::datasets().await;
        if known.is_disposed() {
            return;
        }
        match answer {
            Ok(all) => known.set(all),
            Err(error) => trouble.set(Some(format!("Datasets could not be fetched. {error}"))),
        }
    });
    let typing = RwSignal::new(false);
    let text = Memo::new(move |_| desk.form.read().dataset.clone());
    let chosen = Memo::new(move |_| {
        let text = text.read().trim().to_owned();
        let known = known.read();
        let is_known = text == DEMO_DATASET || known.iter().any(|one| one.id.as_str() == text);
        (is_known && !typing.get()).then_some(text)
    });
    let choose = move |event| {
        let id = event_target_value(&event);
        typing.set(id == OTHER);
        if id != OTHER {
            desk.write("dataset", |form| form.dataset = id);
        }
    };
    let is_chosen = move |id: &str| chosen.read().as_deref() == Some(id);
    let option = move |id: String, words: String| {
        let value = id.clone();
        view! { <option value=value prop:selected=move || is_chosen(&id)>{words}</option> }
    };
    let options = move || {
        let known = known.read();
        if known.is_empty() {
            return vec![option(DEMO_DATASET.to_owned(), "Demo prompts".to_owned())];
        }
        let options = known.iter();
        options
            .map(|one| option(one.id.to_string(), choice(one)))
            .collect()
    };
    let invalid = move || mistake.get().is_some().then_some("true");
    view! {
        <div class="option">
            <label for="run-dataset">"Data"</label>
            <select id="run-dataset" data-testid="run-dataset" aria-invalid=invalid on:change=choose>
                {options}
                <option value=OTHER prop:selected=move || chosen.read().is_none()>"Several, or files on the worker"</option>
            </select>
            <Show when=move || chosen.read().is_none()>
                <textarea rows="2" spellcheck="false" aria-label="Data, one a line" aria-invalid=invalid
                    prop:value=text
                    on:input=move |event| {
                        typing.set(true);
                        let text = event_target_value(&event);
                        desk.write("dataset", |form| form.dataset = text);
                    }></textarea>
                <p class="help">"demo, a dataset’s id (dat_…), or files of rows on the worker, one a line"</p>
            </Show>
            <p class="help"><a href="/training/datasets">"Look at datasets, or upload one"</a></p>
            <Complaint words=trouble/>
            <Complaint words=mistake/>
        </div>
    }
}
