use illumine_types::training::TrainingSample;
use leptos::prelude::*;

use crate::state::chart::number;
use crate::state::training::samples::{Answer, groups};
use crate::state::training::score::Verdict;

/// Prompts with their answers, each with what it was worth.
#[component]
pub fn List(items: Vec<TrainingSample>, selected: RwSignal<usize>) -> impl IntoView {
    let groups = groups(&items).into_iter().map(|group| {
        let answers = group.answers.into_iter();
        let answers = answers.map(|answer| view! { <Line answer selected/> });
        view! {
            <li class="sample-group">
                <p class="sample-prompt" title=group.prompt.clone()>{group.prompt.clone()}</p>
                <ul class="sample-answers">{answers.collect_view()}</ul>
            </li>
        }
    });
    view! { <ul class="sample-list" aria-label="Prompts and answers">{groups.collect_view()}</ul> }
}

#[component]
fn Line(answer: Answer, selected: RwSignal<usize>) -> impl IntoView {
    let at = answer.at;
    let (class, worth) = match answer.verdict {
        Verdict::Scored(reward) => ("scored", number(reward)),
        Verdict::Excluded(_) => ("excluded", "left out".to_owned()),
        Verdict::Failed(_) => ("excluded", "failed".to_owned()),
        Verdict::Unknown => ("excluded", "no score".to_owned()),
    };
    view! {
        <li>
            <button type="button" class=format!("sample-line {class}") data-testid="sample"
                aria-pressed=move || (selected.get() == at).to_string()
                on:click=move |_| selected.set(at)>
                <span>{format!("Answer {}", answer.sample + 1)}</span>
                <span class="chart-value">{worth}</span>
            </button>
        </li>
    }
}
