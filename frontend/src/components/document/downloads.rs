use leptos::prelude::*;

use super::session::Session;
use crate::api::document_url;
use crate::components::icon::{Glyph, Icon};

const FORMATS: [(&str, &str, &str); 4] = [
    ("html", "Web page", "one file, opens anywhere"),
    ("markdown", "Markdown", "the text as written"),
    ("zip", "Zip", "text and pictures as files"),
    ("json", "JSON", "everything, for programs"),
];

/// The document as a file.
#[component]
pub fn Downloads() -> impl IntoView {
    let id = expect_context::<Session>().id();
    view! {
        <details class="menu" data-testid="download">
            <summary class="button"><Icon glyph=Glyph::Download/><span class="label">"Download"</span></summary>
            <ul class="menu-panel">
                {FORMATS.map(|(format, name, words)| view! {
                    // `rel="external"`: not a page of this application.
                    <li><a href=document_url(&id, format) rel="external" download="" class="menu-item">
                        <strong>{name}</strong><span>{words}</span>
                    </a></li>
                }).collect_view()}
            </ul>
        </details>
    }
}
