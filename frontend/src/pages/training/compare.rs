use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::browser;
use crate::components::status::{Loading, Trouble};
use crate::components::training::chart::{Chart, Controls, Stage};
use crate::components::training::compare::{Comparison, Legend};
use crate::state::training::list::{MOST_COMPARED, compared};

/// A few runs on the same axes.
#[component]
pub fn ComparePage() -> impl IntoView {
    browser::set_title("Compare runs");
    let query = use_query_map();
    let ids = Memo::new(move |_| compared(&query.read().get("runs").unwrap_or_default()));
    view! {
        <section class="training">
            <p class="crumb"><a href="/training">"Training"</a></p>
            <h1>"Compare runs"</h1>
            {move || match ids.get() {
                ids if ids.is_empty() => view! { <Nothing/> }.into_any(),
                ids => view! { <Runs ids/> }.into_any(),
            }}
        </section>
    }
}

#[component]
fn Nothing() -> impl IntoView {
    view! {
        <div class="empty">
            <h2>"No runs are named"</h2>
            <p>{format!("Tick 2 to {MOST_COMPARED} runs in the table, then compare them here.")}</p>
            <a class="button" href="/training">"All runs"</a>
        </div>
    }
}

#[component]
fn Runs(ids: Vec<String>) -> impl IntoView {
    let comparison = Comparison::load(ids);
    provide_context(comparison);
    provide_context(Stage::new(comparison.steps()));
    let retry = Callback::new(move |()| comparison.again());
    view! {
        <Show when=move || comparison.loading.get()><Loading words="Fetching runs"/></Show>
        {move || comparison.trouble.get().map(|error| view! { <Trouble error retry/> })}
        <Legend/>
        <Controls/>
        <div class="charts wide">
            <Chart title="Reward" unit="" lines=comparison.lines("reward")/>
            <Chart title="Validation reward" unit="" lines=comparison.lines("validation_reward")/>
            <Chart title="Answer length" unit="tokens" lines=comparison.lines("answer_tokens")/>
        </div>
    }
}
