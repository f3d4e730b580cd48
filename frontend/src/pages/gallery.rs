use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use crate::browser;
use crate::components::gallery::{Card, Filters, List, ListState, Sentinel};
use crate::components::icon::{Glyph, Icon};
use crate::components::status::{Loading, Trouble};
use crate::state::filter::Filter;

/// Every document, newest first.
#[component]
pub fn GalleryPage() -> impl IntoView {
    browser::set_title("Documents");
    let query = use_query_map();
    let filter = Memo::new(move |_| {
        let query = query.read();
        Filter::from_query(|key| query.get(key))
    });
    let list = List::new();
    Effect::new(move |_| list.show(filter.get()));
    let navigate = use_navigate();
    // The address bar is the filter: a reload shows the same.
    let change = Callback::new(move |filter: Filter| {
        let query = filter.to_query();
        let mark = if query.is_empty() { "" } else { "?" };
        let options = NavigateOptions {
            replace: true,
            scroll: false,
            ..NavigateOptions::default()
        };
        navigate(&format!("/documents{mark}{query}"), options);
    });
    let empty =
        Memo::new(move |_| list.jobs.read().is_empty() && *list.state.read() == ListState::End);
    let each = move || list.jobs.get();
    view! {
        <section class="gallery">
            <div class="gallery-head">
                <h1>"Documents"</h1>
                <Filters filter change/>
            </div>
            <ul class="cards" data-testid="gallery">
                <For each key=|job| (job.id.clone(), job.sequence, job.status) let(job)>
                    <Card job/>
                </For>
            </ul>
            <Show when=move || empty.get()>
                <Empty filtered=Signal::derive(move || !filter.read().is_empty()) change/>
            </Show>
            <Foot list/>
        </section>
    }
}

/// What follows the cards: more, a wait, or trouble.
#[component]
fn Foot(list: List) -> impl IntoView {
    move || match list.state.get() {
        ListState::Loading => view! { <Loading words="Fetching documents"/> }.into_any(),
        ListState::More => {
            let seen = Callback::new(move |()| list.more());
            view! {
                <Sentinel seen/>
                <p class="more">
                    <button type="button" class="button quiet" on:click=move |_| list.more()>"Show more"</button>
                </p>
            }
            .into_any()
        }
        ListState::Failed(error) => {
            let retry = Callback::new(move |()| list.again());
            view! { <Trouble error retry/> }.into_any()
        }
        ListState::End => ().into_any(),
    }
}

/// Nothing to show: how to change that.
#[component]
fn Empty(filtered: Signal<bool>, change: Callback<Filter>) -> impl IntoView {
    let nothing_found = move || {
        view! {
            <h2>"No document matches"</h2>
            <p>"Try fewer words, or another status or tool."</p>
            <button type="button" class="button" on:click=move |_| change.run(Filter::default())>
                "Show all documents"
            </button>
        }
        .into_any()
    };
    let nothing_yet = move || {
        view! {
            <h2>"The shelves are still empty"</h2>
            <p>"Describe what you want to read. Illumine writes it, finds and paints the pictures, \
                draws the charts, and keeps the finished document here."</p>
            <a class="button primary" href="/"><Icon glyph=Glyph::Compose/>"Compose the first document"</a>
        }
        .into_any()
    };
    view! {
        <div class="empty" data-testid="gallery-empty">
            <span class="initial large" aria-hidden="true">"I"</span>
            {move || if filtered.get() { nothing_found() } else { nothing_yet() }}
        </div>
    }
}
