use illumine_types::document::ImageBlock;
use illumine_types::{Block, Document, ImageRef, Outcome, ToolKind};
use leptos::prelude::*;

use crate::components::document::{TextBlock, description, tool};
use crate::components::icon::{Glyph, Icon};
use crate::markdown::TextFlow;
use crate::state::words::tool_failed;

/// A document to read, without anything to do with it.
#[component]
pub fn Sheet(document: Document) -> impl IntoView {
    let blocks = document.blocks.into_iter().map(|block| match block {
        Block::Text { markdown } => {
            let pieces = Signal::stored(TextFlow::new(&markdown).pieces());
            view! { <TextBlock pieces/> }.into_any()
        }
        Block::Image(block) => view! { <Picture block/> }.into_any(),
    });
    let broken_off = document.interruption.map(|problem| {
        view! { <p class="notice">{format!("{}. {}", problem.title, problem.detail)}</p> }
    });
    view! {
        {broken_off}
        <div class="page" data-testid="sample-document">{blocks.collect_view()}</div>
    }
}

#[component]
fn Picture(block: ImageBlock) -> impl IntoView {
    match block.outcome.clone() {
        Outcome::Ready { image, .. } => view! { <Figure block image/> }.into_any(),
        Outcome::Failed { reason, .. } => view! { <Failed block reason/> }.into_any(),
        Outcome::Pending => {
            let reason = "It was not drawn.".to_owned();
            view! { <Failed block reason/> }.into_any()
        }
    }
}

#[component]
fn Figure(block: ImageBlock, image: ImageRef) -> impl IntoView {
    let words = description(&block);
    let is_chart = tool(&block) == Some(ToolKind::Code);
    let missing = RwSignal::new(false);
    view! {
        <figure class="picture" class:chart=is_chart>
            // Pictures of old samples may have been cleared away.
            <img class="loaded" src=image.url width=image.width.to_string() height=image.height.to_string()
                alt=words.clone() loading="lazy" decoding="async" hidden=missing
                on:error=move |_| missing.set(true)/>
            <figcaption>
                {words}
                {move || missing.get().then_some(" (the picture is no longer kept)")}
            </figcaption>
        </figure>
    }
}

#[component]
fn Failed(block: ImageBlock, reason: String) -> impl IntoView {
    let tool = tool(&block);
    let wanted = block.call.is_some().then(|| description(&block));
    view! {
        <figure class="picture failed-picture">
            <div class="failed-head">
                <Icon glyph=tool.map_or(Glyph::Alert, Glyph::of)/>
                <p class="failed-what">{tool_failed(tool)}</p>
            </div>
            {wanted.map(|words| view! { <p class="failed-wanted">{words}</p> })}
            <p class="failed-reason">{reason}</p>
            <details><summary>"What the model wrote"</summary><pre tabindex="0">{block.raw}</pre></details>
        </figure>
    }
}
