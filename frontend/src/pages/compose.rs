use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use illumine_types::api::GenerationRequest;

use crate::api::{self, ApiError};
use crate::app::Installation;
use crate::browser;
use crate::components::compose::{Desk, Examples, InputPictures, Options, PromptBox};
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;
use crate::state::compose::Field;

/// A prompt, pictures and options, and off it goes.
#[component]
pub fn ComposePage() -> impl IntoView {
    browser::set_title("Compose");
    let desk = Desk::new();
    provide_context(desk);
    let installation = Installation::here();
    let busy = RwSignal::new(false);
    let general = RwSignal::new(None::<String>);
    // The same request sent again after a lost answer must not start twice.
    let last = StoredValue::new(None::<(GenerationRequest, String)>);
    let navigate = use_navigate();
    let submit = Callback::new(move |()| {
        if busy.get_untracked() {
            return;
        }
        general.set(None);
        let Some(request) = desk.checked(installation) else {
            return;
        };
        let key = match last.get_value() {
            Some((before, key)) if before == request => key,
            _ => browser::random_key(),
        };
        last.set_value(Some((request.clone(), key.clone())));
        busy.set(true);
        let navigate = navigate.clone();
        spawn_local(async move {
            match api::generate(&request, &key).await {
                Ok(accepted) => {
                    desk.forget_draft();
                    let path = format!("/documents/{}", accepted.id);
                    navigate(&path, NavigateOptions::default());
                }
                Err(error) => {
                    busy.set(false);
                    complain(desk, general, &error);
                }
            }
        });
    });
    view! {
        <div class="compose">
            <h1>"What shall be written and illustrated?"</h1>
            <form class="composer" class:dragging=move || desk.dragging.get() on:submit=move |event| {
                event.prevent_default();
                submit.run(());
            }>
                <PromptBox submit/>
                <div class="composer-tools"><InputPictures/><Options/></div>
                <div class="composer-foot">
                    <Counter/>
                    <kbd class="hint">"Ctrl + Enter"</kbd>
                    <button type="submit" class="button primary" data-testid="submit"
                        disabled=move || busy.get()>
                        {move || if busy.get() { "Sending…" } else { "Create" }}
                        <Icon glyph=Glyph::Arrow/>
                    </button>
                </div>
                <Complaint words=general/>
            </form>
            <Examples/>
        </div>
    }
}

/// Puts the server's complaint beside the field that it names.
fn complain(desk: Desk, general: RwSignal<Option<String>>, error: &ApiError) {
    if let ApiError::Refused { problem, .. } = error
        && let Some(field) = problem.field.as_deref().and_then(Field::from_path)
    {
        desk.blame(field, problem.detail.clone());
        return;
    }
    general.set(Some(error.to_string()));
}

/// Characters left, once they matter.
#[component]
fn Counter() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let installation = Installation::here();
    let words = move || desk.characters_left(installation);
    view! {
        <span class="counter" class:over=move || words().is_some_and(|left| left < 0)>
            {move || words().map(|left| if left < 0 {
                format!("{} characters too many", -left)
            } else {
                format!("{left} characters left")
            })}
        </span>
    }
}
