use illumine_types::tool::ToolRequest;
use illumine_types::{ToolCall, ToolKind};
use leptos::prelude::*;

use super::session::Session;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;
use crate::state::redraw::{editable_words, request, words_label};

/// Draws one picture again, with other words or another seed.
#[component]
pub fn RedrawForm(index: usize, call: ToolCall, open: bool) -> impl IntoView {
    let session = expect_context::<Session>();
    let words = RwSignal::new(editable_words(&call).to_owned());
    let seed = RwSignal::new(String::new());
    let complaint = RwSignal::new(None::<String>);
    let is_code = matches!(call.request, ToolRequest::Code { .. });
    let seeded = matches!(call.kind(), ToolKind::Diffusion | ToolKind::Edit);
    let label = words_label(&call.request);
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let asked = request(&call, &words.get_untracked(), &seed.get_untracked());
        match asked {
            Ok(request) => {
                session.opened.set(None);
                session.redraw(index, request);
            }
            Err(mistake) => complaint.set(Some(mistake)),
        }
    };
    let ready = move || session.document.read().is_some();
    view! {
        <details class="redraw" prop:open=open>
            <summary class="button"><Icon glyph=Glyph::Again/>"Draw again with changes"</summary>
            <form on:submit=submit>
                <label for="redraw-words">{label}</label>
                <textarea id="redraw-words" data-testid="redraw-words" class:code=is_code
                    rows=if is_code { "12" } else { "3" } spellcheck=(!is_code).to_string()
                    autofocus=open prop:value=move || words.get()
                    on:input=move |event| words.set(event_target_value(&event))></textarea>
                {seeded.then(|| view! {
                    <label for="redraw-seed">"Seed"</label>
                    <input id="redraw-seed" inputmode="numeric" placeholder="random" autocomplete="off"
                        prop:value=move || seed.get()
                        on:input=move |event| seed.set(event_target_value(&event))/>
                })}
                <Complaint words=complaint/>
                <button type="submit" class="button primary" data-testid="redraw"
                    disabled=move || !ready()>
                    "Draw again"
                </button>
            </form>
        </details>
    }
}
