use std::time::Duration;

use illumine_types::{JobState, ToolKind};
use leptos::prelude::*;

use crate::app::Installation;
use crate::components::icon::{Glyph, Icon};
use crate::state::filter::Filter;
use crate::state::words::{state_name, tool_name};

/// A search waits for the writer to pause.
const PAUSE: Duration = Duration::from_millis(250);

/// Search and filters; `change` is told what to show.
#[component]
pub fn Filters(filter: Memo<Filter>, change: Callback<Filter>) -> impl IntoView {
    let installation = Installation::here();
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let search = move |event| {
        let words = event_target_value(&event);
        if let Some(timer) = timer.get_value() {
            timer.clear();
        }
        let send = move || {
            let words = words.clone();
            change.run(Filter {
                words,
                ..filter.get_untracked()
            });
        };
        timer.set_value(set_timeout_with_handle(send, PAUSE).ok());
    };
    on_cleanup(move || {
        if let Some(Some(timer)) = timer.try_get_value() {
            timer.clear();
        }
    });
    let choose_status = move |event| {
        let status = JobState::parse(&event_target_value(&event));
        change.run(Filter {
            status,
            ..filter.get_untracked()
        });
    };
    let choose_tool = move |event| {
        let tool = ToolKind::parse(&event_target_value(&event));
        change.run(Filter {
            tool,
            ..filter.get_untracked()
        });
    };
    let choose_mine = move |event| {
        let mine = event_target_checked(&event);
        change.run(Filter {
            mine,
            ..filter.get_untracked()
        });
    };
    view! {
        <form class="filters" role="search" on:submit=|event| event.prevent_default()>
            <label class="search-box">
                <span class="sr-only">"Search documents"</span>
                <Icon glyph=Glyph::Search/>
                <input type="search" placeholder="Search titles" data-testid="search"
                    prop:value=move || filter.read().words.clone() on:input=search/>
            </label>
            <label class="sr-only" for="status-filter">"Status"</label>
            <select id="status-filter" on:change=choose_status
                prop:value=move || filter.read().status.map_or("", JobState::as_str)>
                <option value="">"Any status"</option>
                {JobState::ALL.map(|state| view! {
                    <option value=state.as_str() selected=move || filter.read().status == Some(state)>
                        {state_name(state)}
                    </option>
                }).collect_view()}
            </select>
            <label class="sr-only" for="tool-filter">"Tool"</label>
            <select id="tool-filter" on:change=choose_tool
                prop:value=move || filter.read().tool.map_or("", ToolKind::as_str)>
                <option value="">"Any tool"</option>
                {ToolKind::ALL.map(|tool| view! {
                    <option value=tool.as_str() selected=move || filter.read().tool == Some(tool)>
                        {tool_name(tool)}
                    </option>
                }).collect_view()}
            </select>
            <Show when=move || installation.auth()>
                <label class="check">
                    <input type="checkbox" prop:checked=move || filter.read().mine on:change=choose_mine/>
                    "Mine"
                </label>
            </Show>
        </form>
    }
}
