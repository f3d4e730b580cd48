use illumine_types::capability::ToolCapability;
use leptos::prelude::*;

use crate::app::Installation;
use crate::components::icon::{Glyph, Icon};
use crate::state::words::{tool_name, tool_purpose};

/// The four tools as lamps; what each can do on hover, and all on a click.
#[component]
pub fn Lamps() -> impl IntoView {
    let capabilities = Installation::here().capabilities;
    let tools = Memo::new(move |_| {
        let capabilities = capabilities.read();
        capabilities
            .as_ref()
            .map_or_else(Vec::new, |all| all.tools.clone())
    });
    let lit = move || tools.read().iter().filter(|tool| tool.available).count();
    view! {
        <details class="menu lamps" data-testid="lamps">
            <summary aria-label=move || format!("{} of {} tools can be used", lit(), tools.read().len())>
                {move || tools.get().into_iter().map(lamp).collect_view()}
            </summary>
            <div class="menu-panel lamps-panel">
                <h2>"Tools"</h2>
                <ul>{move || tools.get().into_iter().map(row).collect_view()}</ul>
            </div>
        </details>
    }
}

fn words(tool: &ToolCapability) -> String {
    let name = tool_name(tool.tool);
    if tool.available {
        return format!("{name}: {}", tool_purpose(tool.tool));
    }
    let reason = tool.reason.as_deref().unwrap_or("not set up");
    format!("{name}: {reason}")
}

fn lamp(tool: ToolCapability) -> impl IntoView {
    view! {
        <span class="lamp" class:lit=tool.available title=words(&tool)>
            <Icon glyph=Glyph::of(tool.tool)/>
        </span>
    }
}

fn row(tool: ToolCapability) -> impl IntoView {
    let state = if tool.available {
        format!(
            "{} (by {})",
            tool_purpose(tool.tool),
            tool.backends.join(", ")
        )
    } else {
        tool.reason.clone().unwrap_or_else(|| "Not set up.".into())
    };
    view! {
        <li>
            <span class="lamp" class:lit=tool.available><Icon glyph=Glyph::of(tool.tool)/></span>
            <div>
                <strong>{tool_name(tool.tool)}</strong>
                <p>{state}</p>
                {tool.remedy.filter(|_| !tool.available).map(|remedy| view! {
                    <p class="remedy">"Set "<code>{remedy}</code></p>
                })}
            </div>
        </li>
    }
}
