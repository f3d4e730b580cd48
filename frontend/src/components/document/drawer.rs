use illumine_types::Outcome;
use leptos::html::Dialog;
use leptos::prelude::*;

use super::picture::{description, tool};
use super::provenance::ProvenanceFacts;
use super::redraw_form::RedrawForm;
use super::session::{Opened, Session};
use crate::components::icon::{Glyph, Icon};
use crate::state::words::{tool_failed, tool_name};

/// Where a picture comes from, and drawing it again with changes.
#[component]
pub fn Drawer() -> impl IntoView {
    let session = expect_context::<Session>();
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        match session.opened.get() {
            Some(_) if !dialog.open() => drop(dialog.show_modal()),
            None if dialog.open() => dialog.close(),
            _ => {}
        }
    });
    // A click on the backdrop is a click on the dialog itself.
    let beside = move |event: web_sys::MouseEvent| {
        if event.target().as_ref() == event.current_target().as_ref() {
            session.opened.set(None);
        }
    };
    view! {
        <dialog class="drawer" node_ref=dialog data-testid="provenance" aria-labelledby="drawer-title"
            on:close=move |_| session.opened.set(None) on:click=beside>
            <div class="drawer-inside">
                {move || session.opened.get().map(|opened| view! { <Inside opened/> })}
            </div>
        </dialog>
    }
}

#[component]
fn Inside(opened: Opened) -> impl IntoView {
    let session = expect_context::<Session>();
    let image = untrack(|| session.image(opened.index));
    let close = move |_| session.opened.set(None);
    image.map(|image| {
        let block = image.block;
        let tool = tool(&block);
        let facts = match block.outcome.clone() {
            Outcome::Ready { image, provenance } => {
                let call = block.call.clone();
                let provenance = *provenance;
                Some(view! { <ProvenanceFacts image provenance call/> }.into_any())
            }
            Outcome::Failed { reason, .. } => {
                let what = tool_failed(tool);
                Some(view! { <p><strong>{what}". "</strong>{reason}</p> }.into_any())
            }
            Outcome::Pending => None,
        };
        view! {
            <div class="drawer-head">
                <p class="drawer-tool">
                    {tool.map(|tool| view! { <Icon glyph=Glyph::of(tool)/>{tool_name(tool)} })}
                </p>
                <button type="button" class="icon-button" aria-label="Close" title="Close"
                    data-testid="drawer-close" on:click=close>
                    <Icon glyph=Glyph::Close/>
                </button>
            </div>
            <h2 id="drawer-title">{description(&block)}</h2>
            {facts}
            {block.call.clone().map(|call| view! {
                <RedrawForm index=opened.index call open=opened.change/>
            })}
        }
    })
}
