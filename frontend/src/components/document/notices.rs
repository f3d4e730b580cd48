use illumine_types::Problem;
use leptos::prelude::*;

use super::session::Session;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;
use crate::state::live::Phase;

/// What a reader should know before the text: why it stopped, what is missing.
#[component]
pub fn Notices() -> impl IntoView {
    let session = expect_context::<Session>();
    let problem = Memo::new(move |_| match session.phase() {
        Phase::Failed(problem) => Some(problem),
        Phase::Retrying { error } => Some(error),
        // A cancelled document needs no explanation.
        Phase::Cancelled => None,
        _ => {
            let document = session.document.read();
            document
                .as_ref()
                .and_then(|document| document.interruption.clone())
        }
    });
    let remarks = Memo::new(move |_| session.remarks());
    let lost = session.connection_lost;
    view! {
        <Complaint words=session.complaint/>
        {move || problem.get().map(|problem| view! { <Notice problem/> })}
        <div role="status">
            {move || {
                let line = |words| view! { <p class="notice" data-testid="remark">{words}</p> };
                remarks.get().into_iter().map(line).collect_view()
            }}
            <Show when=move || lost.get()>
                <p class="notice">"The connection was lost. It continues here as soon as it is back."</p>
            </Show>
        </div>
    }
}

#[component]
fn Notice(problem: Problem) -> impl IntoView {
    view! {
        <section class="notice failed" data-testid="problem">
            <Icon glyph=Glyph::Alert/>
            <div>
                <h2>{problem.title}</h2>
                <p>{problem.detail}</p>
            </div>
        </section>
    }
}
