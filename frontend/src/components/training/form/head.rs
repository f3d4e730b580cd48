use illumine_types::training::Preset;
use leptos::prelude::*;

use super::dataset::DatasetChoice;
use super::desk::{Desk, field_id};
use crate::components::status::Complaint;
use crate::state::training::form::RunForm;
use crate::state::training::words::{ALGORITHMS, ENGINES, algorithm_name, engine_name};

/// What is trained, with what, on what.
#[component]
pub fn Head() -> impl IntoView {
    view! {
        <div class="run-fields">
            <PresetChoice/>
            <Text path="name" label="Name" help="How you will find it again"
                get=|form| form.name.clone() set=|form, text| form.name = text/>
            <AlgorithmChoice/>
            <EngineChoice/>
            <Text path="model" label="Model"
                help="demo, a model’s folder, or a checkpoint such as run_…/step-000020"
                get=|form| form.model.clone() set=|form, text| form.model = text/>
            <DatasetChoice/>
        </div>
    }
}

#[component]
fn PresetChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let choose = move |event| {
        if let Some(preset) = Preset::parse(&event_target_value(&event)) {
            desk.choose(preset);
        }
    };
    let chosen = Memo::new(move |_| desk.form.read().preset);
    view! {
        <div class="option wide">
            <label for="run-preset">"Preset"</label>
            <select id="run-preset" data-testid="preset" on:change=choose
                prop:value=move || chosen.get().as_str()>
                {Preset::ALL.map(|preset| view! {
                    <option value=preset.as_str() selected=move || chosen.get() == preset>{preset.title()}</option>
                }).collect_view()}
            </select>
            <p class="help">{move || about(chosen.get())}</p>
        </div>
    }
}

/// What a preset is, from what it holds.
fn about(preset: Preset) -> String {
    let config = preset.config();
    let settings = &config.settings;
    format!(
        "{} with {} on {}: {} steps of {} prompts with {} answers each, learning rate {:e}, up to {} tokens an \
         answer. Choosing a preset fills everything below.",
        config.model,
        algorithm_name(config.algorithm),
        engine_name(config.engine),
        settings.steps,
        settings.prompts_per_step,
        settings.samples,
        settings.learning_rate,
        settings.max_answer_tokens,
    )
}

#[component]
fn AlgorithmChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let chosen = Memo::new(move |_| desk.form.read().algorithm);
    let choose = move |event| {
        let word = event_target_value(&event);
        if let Some((algorithm, ..)) = ALGORITHMS.iter().find(|known| known.1 == word) {
            desk.write("algorithm", |form| form.algorithm = *algorithm);
        }
    };
    view! {
        <div class="option">
            <label for="run-algorithm">"Algorithm"</label>
            <select id="run-algorithm" on:change=choose>
                {ALGORITHMS.map(|(algorithm, word, words)| view! {
                    <option value=word selected=move || chosen.get() == algorithm>{words}</option>
                }).collect_view()}
            </select>
            <Complaint words=desk.mistake("algorithm")/>
        </div>
    }
}

#[component]
fn EngineChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let chosen = Memo::new(move |_| desk.form.read().engine);
    let choose = move |event| {
        let word = event_target_value(&event);
        if let Some((engine, ..)) = ENGINES.iter().find(|known| known.1 == word) {
            desk.write("engine", |form| form.engine = *engine);
        }
    };
    view! {
        <div class="option">
            <label for="run-engine">"Engine"</label>
            <select id="run-engine" on:change=choose>
                {ENGINES.map(|(engine, word, words)| view! {
                    <option value=word selected=move || chosen.get() == engine>{words}</option>
                }).collect_view()}
            </select>
            <Complaint words=desk.mistake("engine")/>
        </div>
    }
}

#[component]
fn Text(
    path: &'static str,
    label: &'static str,
    help: &'static str,
    get: fn(&RunForm) -> String,
    set: fn(&mut RunForm, String),
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let mistake = desk.mistake(path);
    let id = field_id(path);
    view! {
        <div class="option">
            <label for=id.clone()>{label}</label>
            <input id=id autocomplete="off" spellcheck="false" data-testid=format!("run-{path}")
                aria-invalid=move || mistake.get().is_some().then_some("true")
                prop:value=move || desk.form.with(get)
                on:input=move |event| {
                    let text = event_target_value(&event);
                    desk.write(path, |form| set(form, text));
                }/>
            <p class="help">{help}</p>
            <Complaint words=mistake/>
        </div>
    }
}
