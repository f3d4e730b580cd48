use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::app::Installation;
use crate::components::icon::{Glyph, Icon};

/// Ends the browser's session.
#[component]
pub fn SignOut() -> impl IntoView {
    let installation = Installation::here();
    let leave = move |_| {
        spawn_local(async move {
            let _ = api::sign_out().await;
            installation.capabilities.set(None);
            installation.refresh();
        });
    };
    view! {
        <button type="button" class="icon-button" data-testid="sign-out" title="Sign out"
            aria-label="Sign out" on:click=leave>
            <Icon glyph=Glyph::Leave/>
        </button>
    }
}
