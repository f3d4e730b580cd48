use illumine_types::JobState;
use leptos::prelude::*;

use crate::state::training::words::run_state_name;

/// The state of a run, as in the gallery.
#[component]
pub fn StateBadge(state: JobState) -> impl IntoView {
    view! {
        <span class=format!("badge {}", state.as_str()) data-testid="run-state">{run_state_name(state)}</span>
    }
}
