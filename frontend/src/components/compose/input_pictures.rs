use leptos::prelude::*;

use super::Desk;
use super::desk::{InputPicture, Upload};
use crate::app::Installation;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;
use crate::state::compose::Field;

/// Pictures that go with the prompt, with the index that an edit names.
#[component]
pub fn InputPictures() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let installation = Installation::here();
    let pick = move |event: web_sys::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        if let Some(files) = input.files() {
            desk.add_files(&files, installation);
        }
        // The same file can be picked again after it was removed.
        input.set_value("");
    };
    let each = move || desk.pictures.get().into_iter().enumerate();
    view! {
        <div class="inputs">
            <ul class="input-pictures" aria-label="Pictures with the prompt">
                <For each=each key=|(at, picture)| (*at, picture.key, picture.state != Upload::Sending) let((at, picture))>
                    <Chip at picture/>
                </For>
            </ul>
            <label class="button quiet attach">
                <Icon glyph=Glyph::Picture/>
                <span>"Add pictures"</span>
                <input type="file" accept="image/*" multiple class="sr-only"
                    data-testid="picture-input" on:change=pick/>
            </label>
            <Complaint words=desk.mistake(Field::Images)/>
        </div>
    }
}

#[component]
fn Chip(at: usize, picture: InputPicture) -> impl IntoView {
    let desk = expect_context::<Desk>();
    let InputPicture { key, name, state } = picture;
    let label = format!("Remove picture {at}, {name}");
    let failed = matches!(state, Upload::Failed(_));
    let face = match state {
        Upload::Sending => {
            view! { <span class="chip-face sending" role="status">"Sending…"</span> }.into_any()
        }
        Upload::Sent(input) => view! { <img class="chip-face" src=input.url alt=name/> }.into_any(),
        Upload::Failed(words) => {
            view! { <span class="chip-face" role="alert">{words}</span> }.into_any()
        }
    };
    view! {
        <li class="chip" class:failed=failed data-testid="input-picture">
            {face}
            <span class="chip-index" title="The number by which the prompt can name it">{at}</span>
            <button type="button" class="chip-remove" aria-label=label
                on:click=move |_| desk.remove_picture(key)>
                <Icon glyph=Glyph::Close/>
            </button>
        </li>
    }
}
