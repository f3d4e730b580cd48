use leptos::prelude::*;
use leptos_router::components::A;
use leptos_router::hooks::use_location;

use crate::app::Installation;
use crate::components::icon::{Glyph, Icon};

/// Where one can go; a bar at the bottom on a phone.
#[component]
pub fn Rail() -> impl IntoView {
    let installation = Installation::here();
    let admin = Memo::new(move |_| installation.is_admin());
    view! {
        <nav class="rail" aria-label="Pages">
            <A href="/" attr:class="brand" attr:aria-label="Illumine, compose" attr:tabindex="-1">
                <span class="initial" aria-hidden="true">"I"</span>
            </A>
            <RailLink href="/" glyph=Glyph::Compose words="Compose"/>
            <RailLink href="/documents" glyph=Glyph::Documents words="Documents"/>
            <Show when=move || admin.get()>
                <hr class="rail-line"/>
                <RailLink href="/training" glyph=Glyph::Training words="Training"/>
            </Show>
        </nav>
    }
}

#[component]
fn RailLink(href: &'static str, glyph: Glyph, words: &'static str) -> impl IntoView {
    let path = use_location().pathname;
    let here = move || {
        let path = path.get();
        let below = path
            .strip_prefix(href)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if href == "/" { path == "/" } else { below }
    };
    view! {
        <a href=href class="rail-link" aria-current=move || here().then_some("page")>
            <Icon glyph/>
            <span>{words}</span>
        </a>
    }
}
