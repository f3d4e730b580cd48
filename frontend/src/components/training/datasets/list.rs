use illumine_types::dataset::{Dataset, Split};
use leptos::prelude::*;

use crate::components::moment::Moment;
use crate::state::training::bytes::size;
use crate::state::training::dataset::{page, tool_bars};
use crate::state::words::grouped;

/// Every dataset and what it holds.
#[component]
pub fn Table(all: Vec<Dataset>) -> impl IntoView {
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Datasets">
            <table class="data-table runs" data-testid="datasets">
                <thead><tr>
                    <th>"Name"</th>
                    <th class="right">"Learnt from"</th>
                    <th class="right">"Measured on"</th>
                    <th>"Rows by tool"</th>
                    <th class="right">"With pictures"</th>
                    <th class="right">"Size"</th>
                    <th>"Added"</th>
                </tr></thead>
                <tbody>{all.into_iter().map(|dataset| view! { <Row dataset/> }).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(dataset: Dataset) -> impl IntoView {
    let count = |split| grouped(dataset.summary.by_split.get(&split).copied().unwrap_or(0));
    let tools = tool_bars(&dataset).into_iter();
    let tools = tools.filter(|bar| bar.count > 0);
    let tools = tools.map(|bar| format!("{} {}", bar.label, grouped(bar.count)));
    let added = match dataset.created_at {
        Some(at) => view! { <Moment at/> }.into_any(),
        None => "with the program".into_any(),
    };
    view! {
        <tr data-testid="dataset">
            <th scope="row"><a href=page(&dataset.id)>{dataset.name.clone()}</a></th>
            <td class="right">{count(Split::Train)}</td>
            <td class="right">{count(Split::Test)}</td>
            <td class="help">{tools.collect::<Vec<_>>().join(" · ")}</td>
            <td class="right">{grouped(dataset.summary.with_pictures)}</td>
            <td class="right">{size(dataset.bytes)}</td>
            <td class="run-when">{added}</td>
        </tr>
    }
}
