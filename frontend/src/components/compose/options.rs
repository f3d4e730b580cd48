use illumine_types::ToolKind;
use illumine_types::capability::ToolCapability;
use leptos::prelude::*;

use super::Desk;
use crate::app::Installation;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;
use crate::state::compose::{ComposeForm, Field, MAX_SAMPLES};
use crate::state::words::{tool_name, tool_purpose};

/// Sizes of invented pictures that people ask for.
const SIZES: [(u32, u32, &str); 5] = [
    (512, 512, "Small square, 512 × 512"),
    (1024, 1024, "Square, 1024 × 1024"),
    (1328, 1328, "Large square, 1328 × 1328"),
    (1664, 928, "Wide, 1664 × 928"),
    (928, 1664, "Tall, 928 × 1664"),
];

/// How to write and draw; folded until wanted.
#[component]
pub fn Options() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let toggle = move |event: web_sys::Event| {
        let details: web_sys::Element = event_target(&event);
        desk.options_open.set(details.has_attribute("open"));
    };
    view! {
        <details class="options" data-testid="options" prop:open=move || desk.options_open.get()
            on:toggle=toggle>
            <summary><Icon glyph=Glyph::Sliders/>"Options"<Icon glyph=Glyph::Chevron/></summary>
            <div class="option-grid">
                <PolicyChoice/>
                <SizeChoice/>
                <Number field=Field::Samples label="Quality (samples)" hint="1"
                    help="Candidates written, the best is kept"
                    get=|form| form.samples.clone() set=|form, text| form.samples = text/>
                <Number field=Field::MaxTokens label="Length (tokens)" hint="as configured"
                    help="At most this long" get=|form| form.max_tokens.clone()
                    set=|form, text| form.max_tokens = text/>
                <Number field=Field::Temperature label="Temperature" hint="as configured"
                    help="0 is the same every time, 2 is wild" get=|form| form.temperature.clone()
                    set=|form, text| form.temperature = text/>
                <Number field=Field::Seed label="Seed" hint="random"
                    help="The same seed repeats the same document" get=|form| form.seed.clone()
                    set=|form, text| form.seed = text/>
            </div>
            <ToolChoice/>
        </details>
    }
}

#[component]
fn PolicyChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let capabilities = Installation::here().capabilities;
    let policies = Memo::new(move |_| {
        let capabilities = capabilities.read();
        capabilities
            .as_ref()
            .map_or_else(Vec::new, |all| all.policies.clone())
    });
    let choose = move |event| {
        let name = event_target_value(&event);
        desk.form
            .update(|form| form.policy = Some(name).filter(|name| !name.is_empty()));
    };
    view! {
        <div class="option">
            <label for="policy">"Policy"</label>
            <select id="policy" on:change=choose>
                <option value="">"As configured"</option>
                {move || policies.get().into_iter().map(|policy| view! {
                    <option value=policy.name.clone()>{format!("{}: {}", policy.name, policy.summary)}</option>
                }).collect_view()}
            </select>
            <p class="help">"The model that writes"</p>
        </div>
    }
}

#[component]
fn SizeChoice() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let choose = move |event| {
        let chosen = event_target_value(&event).parse::<usize>().ok();
        let size = chosen
            .and_then(|at| SIZES.get(at))
            .map(|(width, height, _)| (*width, *height));
        desk.form.update(|form| form.size = size);
    };
    view! {
        <div class="option">
            <label for="size">"Size of painted pictures"</label>
            <select id="size" on:change=choose>
                <option value="">"As configured"</option>
                {SIZES.iter().enumerate().map(|(at, (_, _, words))| view! {
                    <option value=at.to_string()>{*words}</option>
                }).collect_view()}
            </select>
            <p class="help">"For painting and editing"</p>
        </div>
    }
}

#[component]
fn Number(
    field: Field,
    label: &'static str,
    hint: &'static str,
    help: &'static str,
    get: fn(&ComposeForm) -> String,
    set: fn(&mut ComposeForm, String),
) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let mistake = desk.mistake(field);
    let id = format!("option-{}", field.name());
    let most = (field == Field::Samples).then(|| MAX_SAMPLES.to_string());
    view! {
        <div class="option">
            <label for=id.clone()>{label}</label>
            <input id=id inputmode="decimal" placeholder=hint autocomplete="off" data-most=most
                aria-invalid=move || mistake.get().is_some().then_some("true")
                prop:value=move || desk.form.with(get)
                on:input=move |event| desk.form.update(|form| set(form, event_target_value(&event)))/>
            <p class="help">{help}</p>
            <Complaint words=mistake/>
        </div>
    }
}

#[component]
fn ToolChoice() -> impl IntoView {
    let capabilities = Installation::here().capabilities;
    let tools = Memo::new(move |_| {
        let capabilities = capabilities.read();
        capabilities
            .as_ref()
            .map_or_else(Vec::new, |all| all.tools.clone())
    });
    view! {
        <fieldset class="tool-choice">
            <legend>"Tools it may use"</legend>
            {move || tools.get().into_iter().map(|tool| view! { <ToolSwitch tool/> }).collect_view()}
        </fieldset>
    }
}

#[component]
fn ToolSwitch(tool: ToolCapability) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let kind: ToolKind = tool.tool;
    let available = tool.available;
    let on = move || available && desk.form.with(|form| !form.without.contains(&kind));
    let switch = move |event| {
        let on = event_target_checked(&event);
        desk.form.update(|form| {
            form.without.retain(|other| *other != kind);
            if !on {
                form.without.push(kind);
            }
        });
    };
    let words = if available {
        capitalised(tool_purpose(kind))
    } else {
        tool.reason.unwrap_or_else(|| "Not set up here.".into())
    };
    view! {
        <label class="tool-switch" class:unavailable=!available>
            <input type="checkbox" disabled=!available prop:checked=on on:change=switch/>
            <Icon glyph=Glyph::of(kind)/>
            <span class="tool-words">
                <strong>{tool_name(kind)}</strong>
                <span>{words}</span>
                {tool.remedy.filter(|_| !available).map(|remedy| view! {
                    <span class="remedy">"Set "<code>{remedy}</code></span>
                })}
            </span>
        </label>
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
