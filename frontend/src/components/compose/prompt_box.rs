use leptos::prelude::*;

use super::Desk;
use crate::app::Installation;
use crate::components::status::Complaint;
use crate::state::compose::Field;

const PLACEHOLDER: &str = "A short guide to the lighthouses of Scotland, with two photos, a painting \
    of one in a storm, and a line chart of how many were lit each year";

/// The large box. Ctrl+Enter sends; pictures can be dropped and pasted on it.
#[component]
pub fn PromptBox(submit: Callback<()>) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let installation = Installation::here();
    let mistake = desk.mistake(Field::Prompt);
    let keys = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) {
            event.prevent_default();
            submit.run(());
        }
    };
    let paste = move |event: web_sys::ClipboardEvent| {
        let files = event.clipboard_data().and_then(|data| data.files());
        if let Some(files) = files.filter(|files| files.length() > 0) {
            event.prevent_default();
            desk.add_files(&files, installation);
        }
    };
    let drag = move |event: web_sys::DragEvent| {
        event.prevent_default();
        desk.dragging.set(true);
    };
    let drop = move |event: web_sys::DragEvent| {
        event.prevent_default();
        desk.dragging.set(false);
        if let Some(files) = event.data_transfer().and_then(|data| data.files()) {
            desk.add_files(&files, installation);
        }
    };
    view! {
        <label class="sr-only" for="prompt">"Prompt"</label>
        <textarea id="prompt" data-testid="prompt" rows="5" placeholder=PLACEHOLDER
            aria-invalid=move || mistake.get().is_some().then_some("true")
            prop:value=move || desk.form.with(|form| form.prompt.clone())
            on:input=move |event| desk.write(event_target_value(&event))
            on:keydown=keys on:paste=paste on:dragover=drag on:drop=drop
            on:dragleave=move |_| desk.dragging.set(false)></textarea>
        <Complaint words=mistake/>
    }
}
