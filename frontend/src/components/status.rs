//! Loading and trouble, in words.

use std::time::Duration;

use leptos::prelude::*;

use super::icon::{Glyph, Icon};
use crate::api::ApiError;

/// Nothing for a moment (most answers come at once), then words.
#[component]
pub fn Loading(#[prop(into)] words: String) -> impl IntoView {
    let late = RwSignal::new(false);
    if let Ok(timer) = set_timeout_with_handle(move || late.set(true), Duration::from_millis(250)) {
        on_cleanup(move || timer.clear());
    }
    view! {
        <div class="loading" role="status" class:late=late>
            {move || late.get().then(|| format!("{words}…"))}
        </div>
    }
}

/// What went wrong, and a way out.
#[component]
pub fn Trouble(
    error: ApiError,
    #[prop(optional, into)] retry: Option<Callback<()>>,
) -> impl IntoView {
    view! {
        <section class="trouble" role="alert" data-testid="trouble" data-code=error.code().to_owned()>
            <Icon glyph=Glyph::Alert/>
            <h2>{error.title().to_owned()}</h2>
            <p>{error.to_string()}</p>
            {retry.map(|retry| view! {
                <button type="button" class="button" on:click=move |_| retry.run(())>
                    <Icon glyph=Glyph::Again/>"Try again"
                </button>
            })}
        </section>
    }
}

/// One line of trouble beside what it concerns.
#[component]
pub fn Complaint(#[prop(into)] words: Signal<Option<String>>) -> impl IntoView {
    view! {
        <div role="alert">
            {move || words.get().map(|words| view! {
                <p class="complaint"><Icon glyph=Glyph::Alert/><span>{words}</span></p>
            })}
        </div>
    }
}
