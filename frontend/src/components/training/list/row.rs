use illumine_types::training::TrainingRun;
use leptos::prelude::*;

use super::spark::Spark;
use crate::components::icon::{Glyph, Icon};
use crate::components::moment::Moment;
use crate::components::training::badge::StateBadge;
use crate::state::chart::number;
use crate::state::training::list::{MOST_COMPARED, toggle};
use crate::state::training::words::algorithm_name;

/// One run: how it stands and how it went.
#[component]
pub fn Row(run: TrainingRun, chosen: RwSignal<Vec<String>>) -> impl IntoView {
    let TrainingRun {
        job,
        config,
        summary,
    } = run;
    let id = StoredValue::new(job.id.to_string());
    let is_chosen = move || id.with_value(|id| chosen.read().contains(id));
    let full = move || !is_chosen() && chosen.read().len() >= MOST_COMPARED;
    let choose = move |_| id.with_value(|id| chosen.update(|chosen| toggle(chosen, id)));
    let best = summary.best_reward.map_or_else(|| "–".to_owned(), number);
    let alarm = summary.alarm.map(|alarm| {
        let words = alarm.clone();
        view! {
            <span class="run-alarm" title=alarm>
                <Icon glyph=Glyph::Alert/><span class="sr-only">{words}</span>
            </span>
        }
    });
    view! {
        <tr data-testid="run">
            <td>
                <input type="checkbox" aria-label=format!("Compare {}", config.name) data-testid="compare-run"
                    prop:checked=is_chosen disabled=full on:change=choose/>
            </td>
            <th scope="row"><a href=format!("/training/{}", job.id)>{config.name}</a></th>
            <td><span class="run-state"><StateBadge state=job.status/>{alarm}</span></td>
            <td>{algorithm_name(config.algorithm)}</td>
            <td class="run-model">{config.model}</td>
            <td class="right">{format!("{} of {}", summary.step, config.settings.steps)}</td>
            <td class="right">{best}</td>
            <td><Spark curve=summary.curve/></td>
            <td class="run-when"><Moment at=job.created_at/></td>
        </tr>
    }
}
