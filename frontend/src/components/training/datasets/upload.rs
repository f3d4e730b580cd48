use illumine_types::dataset::UPLOAD_BYTES;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use crate::api::{self, ApiError};
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::status::Complaint;
use crate::state::training::bytes::size;
use crate::state::training::dataset::{complaint, page, suggested_name};

/// What is to be sent, and how far it is.
#[derive(Clone, Copy)]
struct Desk {
    name: RwSignal<String>,
    suggested: StoredValue<String>,
    files: RwSignal<Vec<web_sys::File>, LocalStorage>,
    dragging: RwSignal<bool>,
    /// Share that is sent; none while nothing is.
    sending: RwSignal<Option<f64>>,
    name_wrong: RwSignal<Option<String>>,
    files_wrong: RwSignal<Option<String>>,
}

impl Desk {
    fn add(self, files: &web_sys::FileList) {
        let was_empty = self.files.with_untracked(Vec::is_empty);
        let new = (0..files.length()).filter_map(|at| files.get(at));
        self.files.update(|all| all.extend(new));
        self.files_wrong.set(None);
        let first = self
            .files
            .with_untracked(|all| all.first().map(web_sys::File::name));
        let name = self.name.get_untracked();
        // A name that nobody typed follows the files.
        let is_free = name.trim().is_empty() || name == self.suggested.get_value();
        if was_empty
            && is_free
            && let Some(first) = first
        {
            let name = suggested_name(&first);
            self.suggested.set_value(name.clone());
            self.name.set(name);
        }
    }

    fn remove(self, name: &str) {
        self.files
            .update(|all| all.retain(|file| file.name() != name));
        self.files_wrong.set(None);
    }

    /// Whether it can be sent; else it says why not, beside the field.
    fn is_ready(self) -> bool {
        let files = self.files.with_untracked(|all| {
            let all = all.iter().map(|file| (file.name(), file.size()));
            complaint(&all.collect::<Vec<_>>())
        });
        let name = self.name.read_untracked().trim().is_empty();
        let name = name.then(|| "Give it a name by which you will find it again.".to_owned());
        if name.is_some() {
            browser::focus("dataset-name");
        } else if files.is_some() {
            browser::focus("dataset-files");
        }
        let ready = name.is_none() && files.is_none();
        self.name_wrong.set(name);
        self.files_wrong.set(files);
        ready
    }

    /// Puts the server's complaint beside what it is about.
    fn refused(self, error: &ApiError) {
        let about_name = matches!(error,
            ApiError::Refused { problem, .. } if problem.field.as_deref() == Some("name"));
        if about_name {
            self.name_wrong.set(Some(error.to_string()));
            browser::focus("dataset-name");
        } else {
            self.files_wrong.set(Some(error.to_string()));
        }
    }
}

/// Files by drop or by choice, and a name; every row is checked where they arrive.
#[component]
pub fn UploadForm() -> impl IntoView {
    let desk = Desk {
        name: RwSignal::new(String::new()),
        suggested: StoredValue::new(String::new()),
        files: RwSignal::new_local(Vec::new()),
        dragging: RwSignal::new(false),
        sending: RwSignal::new(None),
        name_wrong: RwSignal::new(None),
        files_wrong: RwSignal::new(None),
    };
    let navigate = use_navigate();
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if desk.sending.get_untracked().is_some() || !desk.is_ready() {
            return;
        }
        desk.sending.set(Some(0.0));
        let (name, files) = (desk.name.get_untracked(), desk.files.get_untracked());
        let navigate = navigate.clone();
        spawn_local(async move {
            let progress = move |share| {
                if !desk.sending.is_disposed() {
                    desk.sending.set(Some(share));
                }
            };
            let answer = api::upload_dataset(name.trim(), &files, progress).await;
            if desk.sending.is_disposed() {
                return;
            }
            desk.sending.set(None);
            match answer {
                Ok(dataset) => navigate(&page(&dataset.id), NavigateOptions::default()),
                Err(error) => desk.refused(&error),
            }
        });
    };
    let busy = move || desk.sending.read().is_some();
    view! {
        <form class="run-group upload" novalidate on:submit=submit>
            <h2>"Upload a dataset"</h2>
            <div class="option">
                <label for="dataset-name">"Name"</label>
                <input id="dataset-name" autocomplete="off" data-testid="dataset-name"
                    aria-invalid=move || desk.name_wrong.read().is_some().then_some("true")
                    prop:value=desk.name
                    on:input=move |event| {
                        desk.name.set(event_target_value(&event));
                        desk.name_wrong.set(None);
                    }/>
                <Complaint words=desk.name_wrong/>
            </div>
            <Files desk/>
            <div class="actions">
                <button type="submit" class="button primary" data-testid="dataset-send" disabled=busy>
                    <Icon glyph=Glyph::Plus/>"Upload"
                </button>
                <Progress sending=desk.sending/>
            </div>
        </form>
    }
}

#[component]
fn Files(desk: Desk) -> impl IntoView {
    let pick = move |event: web_sys::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        if let Some(files) = input.files() {
            desk.add(&files);
        }
        // The same file can be picked again after it was removed.
        input.set_value("");
    };
    let drag = move |event: web_sys::DragEvent| {
        event.prevent_default();
        desk.dragging.set(true);
    };
    let drop = move |event: web_sys::DragEvent| {
        event.prevent_default();
        desk.dragging.set(false);
        if let Some(files) = event.data_transfer().and_then(|data| data.files()) {
            desk.add(&files);
        }
    };
    let list = move || {
        let files = desk.files.read();
        let files = files.iter().map(|file| (file.name(), file.size()));
        files
            .map(|(name, bytes)| view! { <Chosen desk name bytes/> })
            .collect_view()
    };
    let most = format!(
        "Parquet or JSONL in the columns prompt, images, data_source and extra_info, with a split in every row; \
         up to {}. Every row is checked before anything is stored.",
        size(UPLOAD_BYTES)
    );
    view! {
        <div class="option">
            <label class="drop" class:dragging=desk.dragging on:dragover=drag on:drop=drop
                on:dragleave=move |_| desk.dragging.set(false)>
                <Icon glyph=Glyph::Documents/>
                <span>"Drop files of rows here, or "<span class="link">"choose them"</span></span>
                <input id="dataset-files" type="file" accept=".parquet,.jsonl" multiple class="sr-only"
                    data-testid="dataset-files" on:change=pick/>
            </label>
            <p class="help">{most}</p>
            <ul class="chosen" aria-label="Files to send">{list}</ul>
            <Complaint words=desk.files_wrong/>
        </div>
    }
}

#[component]
fn Chosen(desk: Desk, name: String, bytes: f64) -> impl IntoView {
    let label = format!("Remove {name}");
    let of = name.clone();
    view! {
        <li>
            <span>{name}</span>
            <span class="help">{size(bytes as u64)}</span>
            <button type="button" class="icon-button" aria-label=label on:click=move |_| desk.remove(&of)>
                <Icon glyph=Glyph::Close/>
            </button>
        </li>
    }
}

#[component]
fn Progress(sending: RwSignal<Option<f64>>) -> impl IntoView {
    let words = Memo::new(move |_| match sending.get() {
        None => "",
        Some(share) if share < 1.0 => "Sending…",
        Some(_) => "Sent. Every row is being checked…",
    });
    view! {
        <Show when=move || sending.read().is_some()>
            <progress max="1" prop:value=move || sending.get().unwrap_or(1.0) aria-label="Sent"></progress>
        </Show>
        <span class="hint" role="status">{words}</span>
    }
}
