use leptos::prelude::*;

use super::delete::Delete;
use super::downloads::Downloads;
use super::session::Session;
use crate::components::icon::{Glyph, Icon};
use crate::components::moment::Moment;
use crate::state::live::{Headline, Phase};
use crate::state::words::counted;

/// How far the document is, what it was asked with, and what can be done.
#[component]
pub fn Header() -> impl IntoView {
    let session = expect_context::<Session>();
    let headline: Memo<Headline> = Memo::new(move |_| session.headline());
    let words = Memo::new(move |_| headline.read().words.clone());
    let tone = move || format!("state {}", headline.read().tone.class());
    let title = Memo::new(move |_| session.title().unwrap_or_default());
    let prompt = Memo::new(move |_| {
        let document = session.document.read();
        let prompt = document.as_ref().map(|document| document.prompt.clone());
        prompt.unwrap_or_else(|| title.get())
    });
    view! {
        <header class="doc-header">
            <h1 class="sr-only">{title}</h1>
            <div class="doc-line">
                <p class=tone>
                    <span class="state-dot" aria-hidden="true"></span>
                    <span role="status" data-testid="status">{words}</span>
                    <span class="elapsed" aria-hidden="true">{move || headline.read().elapsed.clone()}</span>
                </p>
                <Actions/>
            </div>
            <blockquote class="prompt-quote" title="The prompt">{prompt}</blockquote>
            <Inputs/>
            <Facts/>
        </header>
    }
}

#[component]
fn Actions() -> impl IntoView {
    let session = expect_context::<Session>();
    let ended = Memo::new(move |_| session.phase().is_final());
    let stopped =
        Memo::new(move |_| matches!(session.phase(), Phase::Failed(_) | Phase::Cancelled));
    let cancelling = RwSignal::new(false);
    let cancel = move |_| {
        cancelling.set(true);
        session.cancel();
    };
    Effect::new(move |_| {
        if session.complaint.read().is_some() || ended.get() {
            cancelling.set(false);
        }
    });
    view! {
        <div class="actions">
            <Show when=move || !ended.get()>
                <button type="button" class="button" data-testid="cancel"
                    disabled=move || cancelling.get() on:click=cancel>
                    <Icon glyph=Glyph::Stop/>
                    {move || if cancelling.get() { "Cancelling…" } else { "Cancel" }}
                </button>
            </Show>
            <Show when=move || stopped.get()>
                <button type="button" class="button" data-testid="retry" on:click=move |_| session.retry()>
                    <Icon glyph=Glyph::Again/>"Try again"
                </button>
            </Show>
            <Show when=move || session.document.read().is_some()>
                <Downloads/>
            </Show>
            <Show when=move || ended.get()>
                <Delete/>
            </Show>
        </div>
    }
}

/// The pictures that came with the prompt.
#[component]
fn Inputs() -> impl IntoView {
    let session = expect_context::<Session>();
    let inputs = Memo::new(move |_| {
        let document = session.document.read();
        document
            .as_ref()
            .map_or_else(Vec::new, |document| document.inputs.clone())
    });
    let shown = move || !inputs.read().is_empty();
    view! {
        <Show when=shown>
            <ul class="input-pictures" aria-label="Pictures given with the prompt">
                {move || inputs.get().into_iter().enumerate().map(|(at, image)| view! {
                    <li class="chip">
                        <img class="chip-face" src=image.url alt=format!("Given picture {at}")/>
                        <span class="chip-index">{at}</span>
                    </li>
                }).collect_view()}
            </ul>
        </Show>
    }
}

#[component]
fn Facts() -> impl IntoView {
    let session = expect_context::<Session>();
    let pictures = Memo::new(move |_| {
        let (ready, failed) = session.picture_counts();
        let mut words = counted(ready, "picture");
        if failed > 0 {
            words.push_str(&format!(", {failed} not drawn"));
        }
        words
    });
    let some_pictures = Memo::new(move |_| session.picture_counts() != (0, 0));
    let policy = Memo::new(move |_| {
        let document = session.document.read();
        document.as_ref().map(|document| document.policy.clone())
    });
    let created = Memo::new(move |_| session.job.read().as_ref().map(|job| job.created_at));
    view! {
        <ul class="facts">
            {move || some_pictures.get().then(|| view! { <li>{pictures}</li> })}
            {move || policy.get().map(|policy| view! { <li title="The policy that wrote it">{policy}</li> })}
            {move || created.get().map(|at| view! { <li><Moment at/></li> })}
        </ul>
    }
}
