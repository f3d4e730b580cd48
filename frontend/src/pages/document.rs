use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::browser;
use crate::components::document::{Body, Drawer, Header, Notices, Session};
use crate::components::status::{Loading, Trouble};
use crate::pages::NotFoundPage;

/// A document, while it is made and ever after.
#[component]
pub fn DocumentPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.read().get("id").unwrap_or_default());
    move || view! { <DocumentView id=id.get()/> }
}

#[component]
fn DocumentView(id: String) -> impl IntoView {
    browser::set_title("Document");
    let session = Session::open(id);
    provide_context(session);
    Effect::new(move |_| {
        if let Some(title) = session.title() {
            browser::set_title(&title);
        }
    });
    // Made again only when this changes: the page must not jump.
    let state = Memo::new(move |_| (session.trouble.get(), session.known.get()));
    move || match state.get() {
        (Some(error), _) if error.is_not_found() => view! { <NotFoundPage/> }.into_any(),
        (Some(error), _) => {
            let retry = Callback::new(move |()| session.load());
            view! { <Trouble error retry/> }.into_any()
        }
        (None, false) => view! { <Loading words="Opening the document"/> }.into_any(),
        (None, true) => view! {
            <article class="reading">
                <Header/>
                <Notices/>
                <Body/>
            </article>
            <Drawer/>
        }
        .into_any(),
    }
}
