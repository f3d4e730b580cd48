use illumine_types::api::RedrawRequest;
use illumine_types::document::ImageBlock;
use leptos::prelude::*;

use super::picture::{description, tool};
use super::session::{Opened, Session};
use crate::components::icon::{Glyph, Icon};
use crate::state::words::tool_failed;

/// What failed and why, quietly, with what can be done.
#[component]
pub fn FailedPicture(block: ImageBlock, reason: String) -> impl IntoView {
    let session = expect_context::<Session>();
    let index = block.index;
    let tool = tool(&block);
    let wanted = block.call.is_some().then(|| description(&block));
    let raw = block.call.is_none().then(|| block.raw.clone());
    let again = move |_| session.redraw(index, RedrawRequest::default());
    let change = move |_| {
        session.opened.set(Some(Opened {
            index,
            change: true,
        }));
    };
    let can_redraw = block.call.is_some();
    // Drawing again changes a stored document.
    let ready = move || can_redraw && session.document.read().is_some();
    view! {
        <figure class="picture failed-picture" data-testid="image-failed">
            <div class="failed-head">
                <Icon glyph=tool.map_or(Glyph::Alert, Glyph::of)/>
                <p class="failed-what">{tool_failed(tool)}</p>
            </div>
            {wanted.map(|words| view! { <p class="failed-wanted">{words}</p> })}
            <p class="failed-reason">{reason}</p>
            {raw.map(|raw| view! {
                <details><summary>"What the model wrote"</summary><pre tabindex="0">{raw}</pre></details>
            })}
            <Show when=ready>
                <div class="actions">
                    <button type="button" class="button" data-testid="draw-again" on:click=again>
                        <Icon glyph=Glyph::Again/>"Draw again"
                    </button>
                    <button type="button" class="button quiet" data-testid="change-prompt" on:click=change>
                        "Change the prompt"
                    </button>
                </div>
            </Show>
        </figure>
    }
}
