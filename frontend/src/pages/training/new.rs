use illumine_types::training::TrainingRunRequest;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use crate::api;
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;
use crate::components::training::form::{Desk, Head, Settings};

/// A new run: a preset, and what shall differ from it.
#[component]
pub fn NewRunPage() -> impl IntoView {
    browser::set_title("New run");
    let desk = Desk::new();
    // As a dataset's page sends one here.
    if let Some(dataset) = use_query_map().read_untracked().get("dataset") {
        desk.form.update(|form| form.dataset = dataset);
    }
    provide_context(desk);
    let busy = RwSignal::new(false);
    // The same request sent again after a lost answer must not start twice.
    let last = StoredValue::new(None::<(TrainingRunRequest, String)>);
    let navigate = use_navigate();
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        let Some(request) = desk.checked() else {
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
            match api::train(&request, &key).await {
                Ok(accepted) => {
                    let path = format!("/training/{}", accepted.id);
                    navigate(&path, NavigateOptions::default());
                }
                Err(error) if !busy.is_disposed() => {
                    busy.set(false);
                    desk.refused(&error);
                }
                Err(_) => {}
            }
        });
    };
    view! {
        <section class="training narrow">
            <p class="crumb"><a href="/training">"Training"</a></p>
            <h1>"New run"</h1>
            <form class="run-form" novalidate on:submit=submit>
                <Head/>
                <Settings/>
                <Complaint words=desk.general/>
                <div class="actions run-form-foot">
                    <a class="button" href="/training">"Not now"</a>
                    <button type="submit" class="button primary" data-testid="start-run"
                        disabled=move || busy.get()>
                        <Icon glyph=Glyph::Play/>
                        {move || if busy.get() { "Sending…" } else { "Start the run" }}
                    </button>
                </div>
            </form>
        </section>
    }
}
