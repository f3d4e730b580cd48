use leptos::prelude::*;

use super::picture::Picture;
use super::session::{BlockView, Cell, Session};
use super::text_block::TextBlock;
use crate::state::live::{LiveImage, Phase};

/// The page itself. Each block is shown again only when it changes.
#[component]
pub fn Body() -> impl IntoView {
    let session = expect_context::<Session>();
    let writing = Memo::new(move |_| session.phase() == Phase::Running);
    // Nothing was written, and nothing will be: no empty sheet.
    let nothing = Memo::new(move |_| session.phase().is_final() && session.cells.read().is_empty());
    let waiting = move || !session.phase().is_final() && session.cells.read().is_empty();
    let waiting = Memo::new(move |_| waiting());
    let waiting_words = move || {
        if writing.get() {
            "The first words are on their way"
        } else {
            "It will be written here as soon as its turn comes"
        }
    };
    view! {
        <div class="page" class:writing=writing hidden=nothing aria-busy=move || writing.get().to_string()
            data-testid="document">
            <Show when=move || waiting.get()>
                <p class="first-words">{waiting_words}</p>
            </Show>
            <For each=move || session.cells.get() key=Cell::identity let(cell)>
                <Block cell/>
            </For>
        </div>
    }
}

#[component]
fn Block(cell: Cell) -> impl IntoView {
    let view = cell.view;
    let is_text = matches!(*view.read_untracked(), BlockView::Text(_));
    if is_text {
        let pieces = move || match &*view.read() {
            BlockView::Text(pieces) => pieces.clone(),
            BlockView::Image(_) => Vec::new(),
        };
        view! { <TextBlock pieces=Signal::derive(pieces)/> }.into_any()
    } else {
        let image = Memo::new(move |_| match &*view.read() {
            BlockView::Image(image) => Some(LiveImage::clone(image)),
            BlockView::Text(_) => None,
        });
        view! { <Picture image/> }.into_any()
    }
}
