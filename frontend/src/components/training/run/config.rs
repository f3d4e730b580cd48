use illumine_types::training::{TrainingConfig, TrainingRun};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::session::RunSession;
use crate::api;
use crate::components::status::Complaint;
use crate::state::training::config::{Row, rows};
use crate::state::training::list::page_path;

/// Everything that the run was told, beside another run if one likes.
#[component]
pub fn Configuration() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let others = RwSignal::new(Vec::<TrainingRun>::new());
    let other = RwSignal::new(None::<TrainingRun>);
    let complaint = RwSignal::new(None::<String>);
    let load = move || {
        complaint.set(None);
        spawn_local(async move {
            let answer = api::training_runs(&page_path(None)).await;
            if others.is_disposed() {
                return;
            }
            match answer {
                Ok(page) => others.set(page.items),
                Err(error) => {
                    complaint.set(Some(format!("Other runs could not be fetched. {error}")))
                }
            }
        });
    };
    load();
    let choose = move |event| {
        let id = event_target_value(&event);
        let runs = others.read_untracked();
        let chosen = runs.iter().find(|run| run.job.id.as_str() == id);
        other.set(chosen.cloned());
    };
    let choices = move || {
        let id = session.id();
        let runs = others.get().into_iter();
        let choices = runs.filter(|run| run.job.id.as_str() != id);
        let choice = |run: TrainingRun| {
            view! {
                <option value=run.job.id.to_string()>{run.config.name}</option>
            }
        };
        choices.map(choice).collect_view()
    };
    // The record is fetched again and again; its configuration never changes.
    let config = Memo::new(move |_| session.config());
    view! {
        <div class="config-head">
            <label for="config-other">"Compare with"</label>
            <select id="config-other" on:change=choose>
                <option value="">"No other run"</option>
                {choices}
            </select>
            <Complaint words=complaint/>
            <Show when=move || complaint.read().is_some()>
                <button type="button" class="button" on:click=move |_| load()>"Try again"</button>
            </Show>
        </div>
        {move || config.get().map(|config| view! { <Table config other=other.get()/> })}
    }
}

#[component]
fn Table(config: TrainingConfig, other: Option<TrainingRun>) -> impl IntoView {
    let rows = rows(&config, other.as_ref().map(|run| &run.config));
    let compared = other.is_some();
    let heading = other.map(|run| run.config.name);
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Configuration">
            <table class="data-table config" data-testid="config">
                <thead><tr>
                    <th>"Setting"</th>
                    <th>"Value"</th>
                    {heading.map(|name| view! { <th>{name}</th> })}
                    <th>"Default, where it differs"</th>
                </tr></thead>
                <tbody>{rows.into_iter().map(|row| view! { <Setting row compared/> }).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Setting(row: Row, compared: bool) -> impl IntoView {
    let differs = row.other.is_some();
    let changed = row.default.is_some();
    let other = compared.then(|| row.other.unwrap_or_else(|| "the same".to_owned()));
    view! {
        <tr class:differs=differs class:changed=changed>
            <th scope="row">{row.label}<code>{row.path}</code></th>
            <td class="config-value">{row.value}</td>
            {other.map(|other| view! { <td class="config-other">{other}</td> })}
            <td class="config-default">{row.default}</td>
        </tr>
    }
}
