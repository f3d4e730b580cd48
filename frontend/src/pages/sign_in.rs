use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::app::Installation;
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;

/// Asks for a key. The address stays, so that the page asked for follows.
#[component]
pub fn SignInPage() -> impl IntoView {
    browser::set_title("Sign in");
    let installation = Installation::here();
    let key = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let complaint = RwSignal::new(None::<String>);
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let typed = key.get_untracked().trim().to_owned();
        if typed.is_empty() {
            complaint.set(Some("Paste your key first.".into()));
            return;
        }
        busy.set(true);
        complaint.set(None);
        spawn_local(async move {
            match api::sign_in(typed).await {
                Ok(()) => installation.refresh(),
                Err(error) => complaint.set(Some(error.to_string())),
            }
            busy.set(false);
        });
    };
    view! {
        <section class="plain-page sign-in">
            <span class="initial large" aria-hidden="true">"I"</span>
            <h1>"Sign in to Illumine"</h1>
            <p>"Give the key you were given. The first admin key was printed when the server started."</p>
            <form on:submit=submit>
                <label for="key">"Key"</label>
                <input id="key" type="password" autocomplete="current-password" spellcheck="false"
                    data-testid="key-input" prop:value=move || key.get()
                    on:input=move |event| key.set(event_target_value(&event))/>
                <button type="submit" class="button primary" data-testid="sign-in"
                    disabled=move || busy.get()>
                    <Icon glyph=Glyph::Key/>
                    {move || if busy.get() { "Signing in…" } else { "Sign in" }}
                </button>
                <Complaint words=complaint/>
            </form>
        </section>
    }
}
