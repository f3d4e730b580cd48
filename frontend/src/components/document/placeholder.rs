use illumine_types::document::ImageBlock;
use illumine_types::tool::ToolRequest;
use illumine_types::{Outcome, ToolKind};
use leptos::prelude::*;

use super::picture::{description, tool};
use super::session::Session;
use crate::app::Installation;
use crate::components::icon::{Glyph, Icon};
use crate::state::live::LiveImage;
use crate::state::time::duration;
use crate::state::words::tool_at_work;

/// A picture that is being drawn: the only gold on the page.
#[component]
pub fn Placeholder(image: Memo<Option<LiveImage>>, block: ImageBlock) -> impl IntoView {
    let now_ms = Installation::here().now_ms;
    let session = expect_context::<Session>();
    let tool = tool(&block).unwrap_or(ToolKind::Diffusion);
    let aspect = untrack(|| aspect(&block, session));
    let elapsed = Memo::new(move |_| {
        let from = image.read().as_ref().and_then(|image| image.started_ms)?;
        let ms = u64::try_from(now_ms.get() - from).ok()?;
        (ms >= 1_000).then(|| duration(ms / 1_000 * 1_000))
    });
    let fraction = Memo::new(move |_| image.read().as_ref().and_then(|image| image.fraction));
    let percent = move || fraction.get().map(|done| format!("{:.0}", done * 100.0));
    let preview = Memo::new(move |_| {
        image
            .read()
            .as_ref()
            .and_then(|image| image.preview.clone())
    });
    view! {
        <figure class="picture drawing" style:aspect-ratio=aspect.to_string()>
            {move || preview.get().map(|url| view! {
                <img class="drawing-preview" data-testid="preview" src=url alt=""/>
            })}
            <div class="drawing-words">
                <Icon glyph=Glyph::of(tool)/>
                <p class="drawing-what">{tool_at_work(tool)}</p>
                <p class="drawing-description">{description(&block)}</p>
                <p class="drawing-time">
                    {move || percent().map(|percent| format!("{percent} %"))}
                    <span aria-hidden="true">{move || elapsed.get()}</span>
                </p>
                {move || percent().map(|percent| view! {
                    <div class="progress" role="progressbar" aria-valuemin="0" aria-valuemax="100"
                        aria-label="Drawing" aria-valuenow=percent.clone()>
                        <div class="progress-done" style:width=format!("{percent}%")></div>
                    </div>
                })}
            </div>
        </figure>
    }
}

/// Width to height, as the tool is likely to draw.
fn aspect(block: &ImageBlock, session: Session) -> f64 {
    match block.call.as_ref().map(|call| &call.request) {
        Some(ToolRequest::Code { .. }) => 4.0 / 3.0,
        Some(ToolRequest::Search { .. }) => 1.5,
        Some(ToolRequest::Edit { img_index, .. }) => {
            let parent = session.image(*img_index).map(|parent| parent.block.outcome);
            match parent {
                Some(Outcome::Ready { image, .. }) if image.height > 0 => {
                    f64::from(image.width) / f64::from(image.height)
                }
                _ => 1.0,
            }
        }
        _ => 1.0,
    }
}
