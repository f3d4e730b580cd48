use illumine_types::training::{Checkpoint, CheckpointFile};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::session::RunSession;
use crate::api::{self, ApiError};
use crate::components::icon::Glyph;
use crate::components::moment::Moment;
use crate::components::status::{Complaint, Loading, Trouble};
use crate::components::training::confirm::Confirm;
use crate::state::chart::number;
use crate::state::training::bytes::size;

/// What is known of the checkpoints, and changing the policy to one of them.
#[derive(Clone, Copy)]
struct Shelf {
    id: StoredValue<String>,
    checkpoints: RwSignal<Option<Result<Vec<Checkpoint>, ApiError>>>,
    complaint: RwSignal<Option<String>>,
    busy: RwSignal<bool>,
}

impl Shelf {
    fn load(self) {
        spawn_local(async move {
            let answer = api::checkpoints(&self.id.get_value()).await;
            if self.checkpoints.is_disposed() {
                return;
            }
            let known = matches!(*self.checkpoints.read_untracked(), Some(Ok(_)));
            match answer {
                // What is shown already stays.
                Err(error) if known => self.complaint.set(Some(error.to_string())),
                answer => self.checkpoints.set(Some(answer.map(|page| page.items))),
            }
        });
    }

    fn act<F: Future<Output = Result<(), ApiError>>>(
        self,
        call: impl FnOnce(String) -> F + 'static,
    ) {
        self.complaint.set(None);
        self.busy.set(true);
        spawn_local(async move {
            let answer = call(self.id.get_value()).await;
            if self.checkpoints.is_disposed() {
                return;
            }
            self.busy.set(false);
            match answer {
                Ok(()) => self.load(),
                Err(error) => self.complaint.set(Some(error.to_string())),
            }
        });
    }
}

/// The policies that the run has kept.
#[component]
pub fn Checkpoints() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let shelf = Shelf {
        id: StoredValue::new(session.id()),
        checkpoints: RwSignal::new(None),
        complaint: RwSignal::new(None),
        busy: RwSignal::new(false),
    };
    provide_context(shelf);
    // There may be a new one after this many steps, and when the run ends.
    let due = Memo::new(move |_| {
        let run = session.run.read();
        let run = run.as_ref()?;
        let every = run.config.settings.checkpoint_every.max(1);
        Some((
            run.summary.step / every,
            run.summary.best_step,
            run.job.status,
        ))
    });
    Effect::new(move |_| {
        due.get();
        shelf.load();
    });
    let list = move || match shelf.checkpoints.get() {
        None => view! { <Loading words="Fetching checkpoints"/> }.into_any(),
        Some(Err(error)) => {
            let retry = Callback::new(move |()| shelf.load());
            view! { <Trouble error retry/> }.into_any()
        }
        Some(Ok(all)) if all.is_empty() => view! {
            <p class="nothing-yet">"No checkpoint has been kept yet."</p>
        }
        .into_any(),
        Some(Ok(all)) => view! { <Table all/> }.into_any(),
    };
    view! { <Complaint words=shelf.complaint/>{list} }
}

#[component]
fn Table(all: Vec<Checkpoint>) -> impl IntoView {
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Checkpoints">
            <table class="data-table checkpoints" data-testid="checkpoints">
                <thead><tr>
                    <th class="right">"Step"</th>
                    <th class="right">"Reward"</th>
                    <th class="right">"Size"</th>
                    <th>"Files"</th>
                    <th>"Kept"</th>
                    <th>"New documents"</th>
                </tr></thead>
                <tbody>{all.into_iter().map(|checkpoint| view! { <Row checkpoint/> }).collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(checkpoint: Checkpoint) -> impl IntoView {
    let shelf = expect_context::<Shelf>();
    let step = checkpoint.step;
    let bytes = checkpoint.files.iter().map(|file| file.bytes).sum();
    let reward = checkpoint.reward.map_or_else(|| "–".to_owned(), number);
    let files = checkpoint.files.into_iter();
    let files = files.map(|file| view! { <File step file/> }).collect_view();
    let take = Callback::new(move |()| {
        shelf.act(move |id| async move { api::use_checkpoint(&id, step).await.map(drop) });
    });
    let leave = Callback::new(move |()| {
        shelf.act(|_| async { api::use_configured_policy().await });
    });
    let action = if checkpoint.in_use {
        view! {
            <span class="badge in-use" data-testid="in-use">"Written by this"</span>
            <Confirm id=format!("leave-policy-{step}") glyph=Glyph::Leave label="Back to the configured policy"
                question="Go back to the configured policy?"
                words="New documents are written by the policy that the configuration names. Documents that are \
                    being written stay with this one."
                keep="Stay with this" busy=shelf.busy act=leave/>
        }
        .into_any()
    } else {
        view! {
            <Confirm id=format!("use-policy-{step}") glyph=Glyph::Compose label="Use as policy"
                question=format!("Let step {step} write new documents?")
                words="Every document whose request names no policy is written by this checkpoint from now on, \
                    for everyone. You can go back at any time."
                keep="Not now" busy=shelf.busy act=take/>
        }
        .into_any()
    };
    view! {
        <tr data-testid="checkpoint">
            <td class="right">{step}{checkpoint.best.then(|| view! { <span class="badge best">"Best"</span> })}</td>
            <td class="right">{reward}</td>
            <td class="right">{size(bytes)}</td>
            <td><ul class="files">{files}</ul></td>
            <td class="run-when"><Moment at=checkpoint.created_at/></td>
            <td><div class="actions">{action}</div></td>
        </tr>
    }
}

#[component]
fn File(step: u64, file: CheckpointFile) -> impl IntoView {
    let shelf = expect_context::<Shelf>();
    let url = shelf
        .id
        .with_value(|id| api::checkpoint_url(id, step, &file.name));
    view! {
        // `rel="external"`: not a page of this application.
        <li><a href=url rel="external" download="" title=size(file.bytes)>{file.name}</a></li>
    }
}
