use illumine_types::dataset::Dataset;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_params_map};

use crate::api::{self, ApiError};
use crate::browser;
use crate::components::icon::{Glyph, Icon};
use crate::components::moment::Moment;
use crate::components::status::{Complaint, Loading, Trouble};
use crate::components::training::Confirm;
use crate::components::training::datasets::{Figure, Rows};
use crate::pages::NotFoundPage;
use crate::state::training::bytes::size;
use crate::state::training::dataset::{image_num_bars, split_bars, tool_bars};
use crate::state::words::{counted, grouped};

/// A dataset: its counts and its rows.
#[component]
pub fn DatasetPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.read().get("id").unwrap_or_default());
    move || view! { <DatasetView id=id.get()/> }
}

#[component]
fn DatasetView(id: String) -> impl IntoView {
    browser::set_title("Dataset");
    let found = RwSignal::new(None::<Result<Dataset, ApiError>>);
    let load = move || {
        found.set(None);
        let id = id.clone();
        spawn_local(async move {
            let answer = api::dataset(&id).await;
            if found.is_disposed() {
                return;
            }
            if let Ok(dataset) = &answer {
                browser::set_title(&dataset.name);
            }
            found.set(Some(answer));
        });
    };
    load();
    let retry = Callback::new(move |()| load());
    move || match found.get() {
        None => view! { <Loading words="Opening the dataset"/> }.into_any(),
        Some(Err(error)) if error.is_not_found() => view! { <NotFoundPage/> }.into_any(),
        Some(Err(error)) => view! { <Trouble error retry/> }.into_any(),
        Some(Ok(dataset)) => view! { <Whole dataset/> }.into_any(),
    }
}

#[component]
fn Whole(dataset: Dataset) -> impl IntoView {
    let (splits, tools) = (split_bars(&dataset), tool_bars(&dataset));
    let numbers = image_num_bars(&dataset);
    view! {
        <article class="training" data-testid="dataset-page">
            <p class="crumb"><a href="/training">"Training"</a>" / "<a href="/training/datasets">"Datasets"</a></p>
            <Head dataset=dataset.clone()/>
            <div class="charts">
                <Figure title="Rows" help="What they are for" bars=splits/>
                <Figure title="Tools" help="A row counts once for each of its tools" bars=tools/>
                <Figure title="Pictures asked for" help="How many an answer must show" bars=numbers/>
            </div>
            <Rows dataset/>
        </article>
    }
}

#[component]
fn Head(dataset: Dataset) -> impl IntoView {
    let Dataset {
        id,
        name,
        files,
        bytes,
        summary,
        created_at,
    } = dataset;
    let complaint = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let navigate = use_navigate();
    let gone = id.clone();
    let delete = Callback::new(move |()| {
        complaint.set(None);
        busy.set(true);
        let (id, navigate) = (gone.clone(), navigate.clone());
        spawn_local(async move {
            let answer = api::delete_dataset(id.as_str()).await;
            if busy.is_disposed() {
                return;
            }
            busy.set(false);
            match answer {
                Ok(()) => navigate("/training/datasets", NavigateOptions::default()),
                Err(error) => complaint.set(Some(error.to_string())),
            }
        });
    });
    let remove = (!id.is_demo()).then(|| {
        view! {
            <Confirm id="delete-dataset" glyph=Glyph::Trash label="Delete" danger=true
                question="Delete this dataset?"
                words="Its files and rows are removed. Runs that have ended keep what they learnt, but cannot be \
                    resumed without it."
                keep="Keep it" busy act=delete/>
        }
    });
    let length = summary.prompt_length;
    let prompts = format!(
        "prompts of {} to {} characters, half of them up to {}",
        grouped(length.min),
        grouped(length.max),
        grouped(length.p50)
    );
    let names = files.iter().map(|file| file.name.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    view! {
        <div class="training-head">
            <h1>{name}</h1>
            <div class="actions">
                {remove}
                <a class="button primary" href=format!("/training/new?dataset={id}") data-testid="train-on-this">
                    <Icon glyph=Glyph::Play/>"Train on this"
                </a>
            </div>
        </div>
        <ul class="facts run-facts">
            <li>{format!("{} rows", grouped(summary.rows))}</li>
            <li>{counted(summary.with_pictures, "row")}" with pictures"</li>
            <li>{prompts}</li>
            <li title=names>{format!("{} in {}", size(bytes), counted(files.len(), "file"))}</li>
            <li class="run-model">{id.to_string()}</li>
            {created_at.map(|at| view! { <li>"added "<Moment at/></li> })}
        </ul>
        <Complaint words=complaint/>
    }
}
