use leptos::prelude::*;

use crate::highlight::python_into;

/// A Python program with its words marked.
#[component]
pub fn Program(code: String) -> impl IntoView {
    let mut html = String::new();
    python_into(&mut html, &code);
    view! { <pre class="program" tabindex="0" aria-label="Program"><code inner_html=html></code></pre> }
}
