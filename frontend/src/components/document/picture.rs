use illumine_types::document::ImageBlock;
use illumine_types::{ImageRef, Outcome, ToolKind};
use leptos::prelude::*;

use super::failed_picture::FailedPicture;
use super::placeholder::Placeholder;
use super::session::{Opened, Session};
use crate::components::status::Complaint;
use crate::state::live::LiveImage;

/// A picture's place: being drawn, there, or explained.
#[component]
pub fn Picture(image: Memo<Option<LiveImage>>) -> impl IntoView {
    // Progress changes often; the figure is made again only with the outcome.
    let block = Memo::new(move |_| image.read().as_ref().map(|image| image.block.clone()));
    let note = Signal::derive(move || {
        let note = image.read().as_ref().and_then(|image| image.note.clone());
        note.map(|reason| format!("It could not be drawn again. {reason}"))
    });
    view! {
        <div class="block-image" data-testid="block-image">
            {move || block.get().map(|block| match block.outcome.clone() {
                Outcome::Pending => view! { <Placeholder image block/> }.into_any(),
                Outcome::Ready { image, .. } => view! { <Figure block image/> }.into_any(),
                Outcome::Failed { reason, .. } => view! { <FailedPicture block reason/> }.into_any(),
            })}
            <Complaint words=note/>
        </div>
    }
}

#[component]
fn Figure(block: ImageBlock, image: ImageRef) -> impl IntoView {
    let session = expect_context::<Session>();
    let index = block.index;
    let description = description(&block);
    let open = move |_| {
        session.opened.set(Some(Opened {
            index,
            change: false,
        }));
    };
    let loaded = RwSignal::new(false);
    let is_chart = tool(&block) == Some(ToolKind::Code);
    view! {
        <figure class="picture" class:chart=is_chart data-testid="image-ready">
            <button type="button" class="picture-button" on:click=open
                title="Where this picture comes from"
                aria-label=format!("{description}. Where this picture comes from")>
                <img src=image.url width=image.width.to_string() height=image.height.to_string()
                    alt=description.clone() decoding="async"
                    class:loaded=loaded on:load=move |_| loaded.set(true)
                    on:error=move |_| loaded.set(true)/>
            </button>
            <figcaption>{description}</figcaption>
        </figure>
    }
}

/// The caption.
pub fn description(block: &ImageBlock) -> String {
    let call = block.call.as_ref();
    call.map_or_else(|| "Picture".to_owned(), |call| call.description.clone())
}

pub fn tool(block: &ImageBlock) -> Option<ToolKind> {
    block.call.as_ref().map(illumine_types::ToolCall::kind)
}
