use illumine_types::document::ImageSource;
use illumine_types::tool::ToolRequest;
use illumine_types::{ImageRef, Provenance, ToolCall};
use leptos::prelude::*;

use super::program::Program;
use super::session::{Opened, Session};
use crate::markdown::safe_link;
use crate::state::redraw::{editable_words, words_label};
use crate::state::time::duration;

/// Everything that is known about a picture's making.
#[component]
pub fn ProvenanceFacts(
    image: ImageRef,
    provenance: Provenance,
    call: Option<ToolCall>,
) -> impl IntoView {
    let asked = call.as_ref().map(|call| {
        let words = editable_words(call).to_owned();
        match &call.request {
            ToolRequest::Code { .. } => {
                let code = provenance.program.clone().unwrap_or(words);
                view! { <h3>"The program"</h3><Program code/> }.into_any()
            }
            request => view! {
                <h3>{words_label(request)}</h3><p class="asked">{words}</p>
            }
            .into_any(),
        }
    });
    let attempts =
        (provenance.attempts > 1).then(|| format!(" ({} attempts)", provenance.attempts));
    let time = format!(
        "{}{}",
        duration(provenance.elapsed_ms),
        attempts.unwrap_or_default()
    );
    let parameters: Vec<_> = provenance
        .parameters
        .into_iter()
        .map(|(name, value)| {
            let words = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.replace('_', " "), words)
        })
        // A blank negative prompt says nothing.
        .filter(|(_, words)| !words.trim().is_empty())
        .map(|(name, words)| view! { <Fact name words/> })
        .collect();
    let size = format!("{} × {} pixels", image.width, image.height);
    view! {
        {asked}
        {provenance.source.map(|source| view! { <Source source/> })}
        <h3>"How it was made"</h3>
        <dl class="provenance">
            <Fact name="By" words=provenance.backend/>
            {provenance.model.map(|model| view! { <Fact name="Model" words=model/> })}
            {provenance.seed.map(|seed| view! { <Fact name="Seed" words=seed.to_string()/> })}
            {parameters}
            {provenance.parent.map(|parent| view! { <Parent index=parent.index/> })}
            <Fact name="Took" words=time/>
            <Fact name="Size" words=size/>
        </dl>
        <p><a href=image.url target="_blank" rel="external noopener">"Open the picture alone"</a></p>
    }
}

#[component]
fn Fact(#[prop(into)] name: String, #[prop(into)] words: String) -> impl IntoView {
    view! { <div><dt>{name}</dt><dd>{words}</dd></div> }
}

/// The picture that an edit changed: a link if it is in this document.
#[component]
fn Parent(index: usize) -> impl IntoView {
    let session = expect_context::<Session>();
    let known = untrack(|| session.image(index)).is_some();
    let go = move |_| {
        session.opened.set(Some(Opened {
            index,
            change: false,
        }));
    };
    let words = format!("picture {index}");
    view! {
        <div>
            <dt>"Changed from"</dt>
            <dd>
                {if known {
                    view! { <button type="button" class="link" on:click=go>{words}</button> }.into_any()
                } else {
                    format!("{words}, given with the prompt").into_any()
                }}
            </dd>
        </div>
    }
}

#[component]
fn Source(source: ImageSource) -> impl IntoView {
    view! {
        <h3>"Where it was found"</h3>
        <dl class="provenance">
            {source.title.map(|title| view! { <Fact name="Title" words=title/> })}
            {source.author.map(|author| view! { <Fact name="Author" words=author/> })}
            {source.license.map(|license| view! { <Fact name="Licence" words=license/> })}
            {source.page_url.map(|url| view! { <Outside name="Page" url/> })}
            {source.file_url.map(|url| view! { <Outside name="File" url/> })}
        </dl>
    }
}

/// An address from outside: a link only if it is one for a browser.
#[component]
fn Outside(name: &'static str, url: String) -> impl IntoView {
    let link = safe_link(&url).map(str::to_owned);
    view! {
        <div>
            <dt>{name}</dt>
            <dd>
                {match link {
                    Some(link) => view! {
                        <a href=link target="_blank" rel="noopener noreferrer nofollow">{url}</a>
                    }
                    .into_any(),
                    None => url.into_any(),
                }}
            </dd>
        </div>
    }
}
