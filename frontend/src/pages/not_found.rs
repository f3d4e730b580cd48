use leptos::prelude::*;

use crate::browser;

/// No such page.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    browser::set_title("Not found");
    view! {
        <section class="plain-page" data-testid="not-found">
            <h1>"This page is not in the library"</h1>
            <p>"The address may be misspelt, or the document may have been deleted."</p>
            <p class="actions">
                <a class="button" href="/documents">"All documents"</a>
                <a class="button" href="/">"Compose a new one"</a>
            </p>
        </section>
    }
}
