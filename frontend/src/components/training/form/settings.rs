use leptos::prelude::*;

use super::desk::{Desk, field_id};
use crate::components::status::Complaint;
use crate::state::training::fields::{Field, GROUPS, Group, Kind};

/// Every setting and every factor of the reward, group by group.
#[component]
pub fn Settings() -> impl IntoView {
    GROUPS.map(|group| view! { <Fields group/> }).collect_view()
}

#[component]
fn Fields(group: Group) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let is_reward = group
        .fields
        .iter()
        .any(|field| field.path.starts_with("reward."));
    view! {
        <fieldset class="run-group">
            <legend>{group.title}</legend>
            {is_reward.then(|| view! { <Complaint words=desk.mistake("reward")/> })}
            <div class="run-fields narrow">
                {group.fields.iter().map(|field| view! { <Setting field=*field/> }).collect_view()}
            </div>
        </fieldset>
    }
}

#[component]
fn Setting(field: Field) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let mistake = desk.mistake(field.path);
    let id = field_id(field.path);
    let differs = Memo::new(move |_| desk.form.read().differs(&field));
    let value = Memo::new(move |_| desk.form.read().value(field.path).to_owned());
    let write = move |text: String| desk.write(field.path, |form| form.set(field.path, text));
    let entry = match field.kind {
        Kind::Choice(choices) => view! {
            <select id=id.clone() on:change=move |event| write(event_target_value(&event))>
                {choices.iter().map(|(word, words)| view! {
                    <option value=*word selected=move || *value.read() == *word>{*words}</option>
                }).collect_view()}
            </select>
        }
        .into_any(),
        kind => view! {
            <input id=id.clone() autocomplete="off" data-testid=id.clone()
                inputmode=if kind == Kind::Whole { "numeric" } else { "decimal" }
                aria-invalid=move || mistake.get().is_some().then_some("true")
                prop:value=value on:input=move |event| write(event_target_value(&event))/>
        }
        .into_any(),
    };
    view! {
        <div class="option" class:changed=differs>
            <label for=id>
                {field.label}
                {move || differs.get().then(|| view! { <span class="changed-mark">"changed"</span> })}
            </label>
            {entry}
            <p class="help">{field.help}</p>
            <Complaint words=mistake/>
        </div>
    }
}
