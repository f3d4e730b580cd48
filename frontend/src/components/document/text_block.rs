use std::sync::Arc;

use leptos::prelude::*;

use crate::markdown::to_html;

/// Text as safe HTML, a piece at a time: what is settled is never touched again.
#[component]
pub fn TextBlock(pieces: Signal<Vec<Arc<str>>>) -> impl IntoView {
    let each = move || pieces.get().into_iter().enumerate();
    view! {
        <div class="block-text" data-testid="block-text">
            <For each=each key=Clone::clone let((_, piece))>
                <div class="piece" inner_html=to_html(&piece)></div>
            </For>
        </div>
    }
}
