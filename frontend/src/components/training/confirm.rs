use leptos::html::Dialog;
use leptos::prelude::*;

use crate::components::icon::{Glyph, Icon};

/// A button that asks once, in words, before it acts.
#[component]
pub fn Confirm(
    /// Told apart from every other on the page.
    #[prop(into)]
    id: String,
    glyph: Glyph,
    label: &'static str,
    #[prop(into)] question: String,
    #[prop(into)] words: String,
    keep: &'static str,
    #[prop(optional)] danger: bool,
    #[prop(into)] busy: Signal<bool>,
    act: Callback<()>,
) -> impl IntoView {
    let dialog = NodeRef::<Dialog>::new();
    let ask = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            // Fails only if it is open already.
            let _ = dialog.show_modal();
        }
    };
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let yes = move |_| {
        close();
        act.run(());
    };
    let title = format!("{id}-title");
    let labelled_by = title.clone();
    view! {
        <button type="button" class="button" data-testid=id.clone() disabled=move || busy.get() on:click=ask>
            <Icon glyph/>{label}
        </button>
        <dialog class="confirm" node_ref=dialog aria-labelledby=labelled_by>
            <h2 id=title>{question}</h2>
            <p>{words}</p>
            <div class="actions">
                <button type="button" class="button" on:click=move |_| close()>{keep}</button>
                <button type="button" class=if danger { "button danger" } else { "button primary" }
                    data-testid=format!("{id}-confirm") on:click=yes>
                    <Icon glyph/>{label}
                </button>
            </div>
        </dialog>
    }
}
