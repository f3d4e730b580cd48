use leptos::prelude::*;

use crate::browser;

/// First thing that the keyboard reaches: past the rail to the page.
#[component]
pub fn SkipLink() -> impl IntoView {
    let skip = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        browser::focus("main");
    };
    view! { <a class="skip" href="#main" on:click=skip>"Skip to the page"</a> }
}
