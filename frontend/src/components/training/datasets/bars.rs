use leptos::prelude::*;

use crate::state::training::dataset::Bar;
use crate::state::words::grouped;

/// Counts as small bars: a table to those who do not see them.
#[component]
pub fn Figure(title: &'static str, help: &'static str, bars: Vec<Bar>) -> impl IntoView {
    let line = |bar: Bar| {
        // Drawn, not styled: the page forbids styles of its own.
        let width = (bar.share * 100.0).max(if bar.count == 0 { 0.0 } else { 0.5 });
        view! {
            <tr>
                <th scope="row">{bar.label}</th>
                <td class="bar" aria-hidden="true">
                    <svg viewBox="0 0 100 10" preserveAspectRatio="none"><rect width=width height="10"></rect></svg>
                </td>
                <td class="right">{grouped(bar.count)}</td>
            </tr>
        }
    };
    view! {
        <figure class="chart" data-testid="figure">
            <figcaption>
                <h2>{title}</h2>
                <p class="help">{help}</p>
            </figcaption>
            <table class="bars" aria-label=title><tbody>{bars.into_iter().map(line).collect_view()}</tbody></table>
        </figure>
    }
}
