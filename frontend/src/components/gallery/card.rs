use illumine_types::{Job, JobState};
use leptos::prelude::*;

use crate::components::icon::{Glyph, Icon};
use crate::components::moment::Moment;
use crate::state::words::{state_name, tool_name};

/// One document: its first picture, its title, how it stands.
#[component]
pub fn Card(job: Job) -> impl IntoView {
    let href = format!("/documents/{}", job.id);
    let initial: String = job
        .title
        .chars()
        .find(|letter| letter.is_alphanumeric())
        .map_or_else(|| "I".to_owned(), |letter| letter.to_uppercase().collect());
    let face = match job.thumbnail {
        Some(url) => view! { <img src=url alt="" loading="lazy" decoding="async"/> }.into_any(),
        None => view! { <span class="card-initial">{initial}</span> }.into_any(),
    };
    let status = job.status;
    let tools = job.tools_used.into_iter().map(|tool| {
        view! {
            <li title=tool_name(tool)><Icon glyph=Glyph::of(tool)/><span class="sr-only">{tool_name(tool)}</span></li>
        }
    });
    view! {
        <li class="card" data-testid="gallery-card">
            <a href=href>
                <div class="card-face" aria-hidden="true">{face}</div>
                <div class="card-words">
                    <h2>{job.title}</h2>
                    <p class="card-line"><Moment at=job.created_at/></p>
                </div>
                {(status != JobState::Succeeded).then(|| view! {
                    <span class=format!("badge card-badge {}", status.as_str())>{state_name(status)}</span>
                })}
                <ul class="card-tools" aria-label="Tools used">{tools.collect_view()}</ul>
            </a>
        </li>
    }
}
