use illumine_types::ToolKind;
use leptos::prelude::*;

use super::Desk;
use crate::app::Installation;
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::state::words::tool_name;

/// One a tool, in the plain style that every policy understands; the photographs are in the
/// library that comes with the program.
const EXAMPLES: [(ToolKind, &str); 4] = [
    (
        ToolKind::Search,
        "Write an illustrated report about coffee with a photo and a bar chart.",
    ),
    (
        ToolKind::Code,
        "Prepare a market research report on electric bicycles with a line chart and a pie chart.",
    ),
    (
        ToolKind::Diffusion,
        "Write a short article on sailing boats with a painting.",
    ),
    (
        ToolKind::Edit,
        "Create a guide to cats with a photo, then turn the photo into a watercolour.",
    ),
];

/// Prompts to begin with.
#[component]
pub fn Examples() -> impl IntoView {
    view! {
        <section class="examples" aria-labelledby="examples-title">
            <h2 id="examples-title">"Or begin with one of these"</h2>
            <ul>
                {EXAMPLES.map(|(tool, prompt)| view! { <Example tool prompt/> }).collect_view()}
            </ul>
        </section>
    }
}

#[component]
fn Example(tool: ToolKind, prompt: &'static str) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let capabilities = Installation::here().capabilities;
    let missing = Memo::new(move |_| {
        let capabilities = capabilities.read();
        let tools = capabilities.as_ref().map(|all| &all.tools);
        tools.is_some_and(|tools| {
            !tools
                .iter()
                .any(|other| other.tool == tool && other.available)
        })
    });
    let take = move |_| {
        desk.write(prompt.to_owned());
        browser::focus("prompt");
    };
    view! {
        <li>
            <button type="button" class="example" data-testid="example" on:click=take>
                <Icon glyph=Glyph::of(tool)/>
                <span class="example-words">
                    <span>{prompt}</span>
                    {move || missing.get().then(|| view! {
                        <span class="example-note">{format!("{} is not set up here", tool_name(tool))}</span>
                    })}
                </span>
            </button>
        </li>
    }
}
