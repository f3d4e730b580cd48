use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::session::Session;
use crate::api;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;

/// Deletes the document, after asking once.
#[component]
pub fn Delete() -> impl IntoView {
    let session = expect_context::<Session>();
    let dialog = NodeRef::<Dialog>::new();
    let complaint = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let navigate = use_navigate();
    let ask = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            // Fails only if it is open already.
            let _ = dialog.show_modal();
        }
    };
    let keep = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let delete = move |_| {
        let navigate = navigate.clone();
        busy.set(true);
        spawn_local(async move {
            match api::delete_generation(&session.id()).await {
                Ok(()) => navigate("/documents", NavigateOptions::default()),
                Err(error) => {
                    busy.set(false);
                    complaint.set(Some(error.to_string()));
                }
            }
        });
    };
    view! {
        <button type="button" class="icon-button" data-testid="delete" title="Delete"
            aria-label="Delete this document" on:click=ask>
            <Icon glyph=Glyph::Trash/>
        </button>
        <dialog class="confirm" node_ref=dialog aria-labelledby="delete-title">
            <h2 id="delete-title">"Delete this document?"</h2>
            <p>"Its text and its pictures are removed for good."</p>
            <Complaint words=complaint/>
            <div class="actions">
                <button type="button" class="button" on:click=keep>"Keep it"</button>
                <button type="button" class="button danger" data-testid="delete-confirm"
                    disabled=move || busy.get() on:click=delete>
                    <Icon glyph=Glyph::Trash/>"Delete"
                </button>
            </div>
        </dialog>
    }
}
