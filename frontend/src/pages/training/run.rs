use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::browser;
use crate::components::status::{Loading, Trouble};
use crate::components::training::run::{Charts, Header, RunSession, Tabs};
use crate::pages::NotFoundPage;

/// A run, while it trains and ever after.
#[component]
pub fn RunPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.read().get("id").unwrap_or_default());
    move || view! { <RunView id=id.get()/> }
}

#[component]
fn RunView(id: String) -> impl IntoView {
    browser::set_title("Training run");
    let session = RunSession::open(id);
    provide_context(session);
    Effect::new(move |_| {
        if let Some(run) = session.run.read().as_ref() {
            browser::set_title(&run.config.name);
        }
    });
    // Made again only when this changes: the page must not jump.
    let known = Memo::new(move |_| session.run.read().is_some());
    let state = Memo::new(move |_| (session.trouble.get(), known.get()));
    move || match state.get() {
        (Some(error), _) if error.is_not_found() => view! { <NotFoundPage/> }.into_any(),
        (Some(error), _) => {
            let retry = Callback::new(move |()| session.load());
            view! { <Trouble error retry/> }.into_any()
        }
        (None, false) => view! { <Loading words="Opening the run"/> }.into_any(),
        (None, true) => view! {
            <article class="training">
                <Header/>
                <Charts/>
                <Tabs/>
            </article>
        }
        .into_any(),
    }
}
