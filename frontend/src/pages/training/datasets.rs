use illumine_types::dataset::Dataset;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiError};
use crate::browser;
use crate::components::status::{Loading, Trouble};
use crate::components::training::datasets::{Table, UploadForm};

/// What policies are trained on.
#[component]
pub fn DatasetsPage() -> impl IntoView {
    browser::set_title("Datasets");
    let all = RwSignal::new(None::<Result<Vec<Dataset>, ApiError>>);
    let load = move || {
        all.set(None);
        spawn_local(async move {
            let answer = api::datasets().await;
            if !all.is_disposed() {
                all.set(Some(answer));
            }
        });
    };
    load();
    let retry = Callback::new(move |()| load());
    let list = move || match all.get() {
        None => view! { <Loading words="Fetching datasets"/> }.into_any(),
        Some(Err(error)) => view! { <Trouble error retry/> }.into_any(),
        Some(Ok(all)) => {
            let only_demo = all.iter().all(|dataset| dataset.id.is_demo());
            view! {
                <Table all/>
                {only_demo.then(|| view! {
                    <p class="nothing-yet" data-testid="datasets-empty">
                        "Nothing has been uploaded yet. The demo prompts are here so that a run can start at once."
                    </p>
                })}
            }
            .into_any()
        }
    };
    view! {
        <section class="training">
            <p class="crumb"><a href="/training">"Training"</a></p>
            <div class="training-head"><h1>"Datasets"</h1></div>
            {list}
            <UploadForm/>
        </section>
    }
}
