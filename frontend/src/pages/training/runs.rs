use leptos::prelude::*;

use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::{Loading, Trouble};
use crate::components::training::PolicyInUse;
use crate::components::training::list::{Row, RunList, State};
use crate::state::training::list::{MOST_COMPARED, compare_path};
use crate::state::words::counted;

/// Every run, newest first.
#[component]
pub fn TrainingPage() -> impl IntoView {
    browser::set_title("Training");
    let list = RunList::load();
    let chosen = RwSignal::new(Vec::<String>::new());
    let some = Memo::new(move |_| !list.runs.read().is_empty());
    let empty = Memo::new(move |_| !some.get() && *list.state.read() == State::End);
    view! {
        <section class="training">
            <div class="training-head">
                <h1>"Training"</h1>
                <div class="actions">
                    <Show when=move || some.get()><Compare chosen/></Show>
                    <a class="button" href="/training/datasets" data-testid="datasets-link">
                        <Icon glyph=Glyph::Documents/>"Datasets"
                    </a>
                    <a class="button primary" href="/training/new" data-testid="new-run">
                        <Icon glyph=Glyph::Plus/>"New run"
                    </a>
                </div>
            </div>
            <PolicyInUse/>
            <Show when=move || some.get()><Table list chosen/></Show>
            <Show when=move || empty.get()><Empty/></Show>
            <Foot list/>
        </section>
    }
}

#[component]
fn Table(list: RunList, chosen: RwSignal<Vec<String>>) -> impl IntoView {
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Runs">
            <table class="data-table runs" data-testid="runs">
                <thead><tr>
                    <th><span class="sr-only">"Compare"</span></th>
                    <th>"Name"</th>
                    <th>"State"</th>
                    <th>"Algorithm"</th>
                    <th>"Policy"</th>
                    <th class="right">"Step"</th>
                    <th class="right">"Best reward"</th>
                    <th>"Reward"</th>
                    <th>"Created"</th>
                </tr></thead>
                <tbody>
                    // A row is made again whenever its run has changed.
                    <For each=move || list.runs.get()
                        key=|run| (run.job.id.clone(), run.job.sequence, run.summary.step, run.summary.alarm.clone())
                        let(run)>
                        <Row run chosen/>
                    </For>
                </tbody>
            </table>
        </div>
    }
}

/// Leads to the comparison once two runs are chosen.
#[component]
fn Compare(chosen: RwSignal<Vec<String>>) -> impl IntoView {
    move || {
        let chosen = chosen.read();
        match chosen.len() {
            0 => view! { <p class="hint">{format!("Tick 2 to {MOST_COMPARED} runs to compare them")}</p> }
                .into_any(),
            1 => view! { <p class="hint">"Tick one more run to compare"</p> }.into_any(),
            count => view! {
                <a class="button" href=compare_path(&chosen) data-testid="compare">
                    {format!("Compare {}", counted(count, "run"))}
                </a>
            }
            .into_any(),
        }
    }
}

#[component]
fn Empty() -> impl IntoView {
    view! {
        <div class="empty" data-testid="runs-empty">
            <span class="initial large" aria-hidden="true">"I"</span>
            <h2>"Nothing has been trained yet"</h2>
            <p>"A run lets the policy write many documents, scores each one by the pictures it asked for, \
                by its judges and by its tools, and teaches the policy to write more like the better ones."</p>
            <a class="button primary" href="/training/new"><Icon glyph=Glyph::Plus/>"Start the first run"</a>
        </div>
    }
}

/// What follows the table: more, a wait, or trouble.
#[component]
fn Foot(list: RunList) -> impl IntoView {
    move || {
        match list.state.get() {
        State::Loading => view! { <Loading words="Fetching runs"/> }.into_any(),
        State::More => view! {
            <p class="more">
                <button type="button" class="button quiet" on:click=move |_| list.more()>"Show more"</button>
            </p>
        }
        .into_any(),
        State::Failed(error) => {
            let retry = Callback::new(move |()| list.more());
            view! { <Trouble error retry/> }.into_any()
        }
        State::End => ().into_any(),
    }
    }
}
