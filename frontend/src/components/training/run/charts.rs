use leptos::prelude::*;

use super::session::{Measured, RunSession};
use crate::api;
use crate::components::status::{Loading, Trouble};
use crate::components::training::chart::{Chart, Controls, Stage};
use crate::state::training::panels::{Panel, panels};

/// Everything that the run has measured, on one axis of steps.
#[component]
pub fn Charts() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let points = session.points;
    let whole = Memo::new(move |_| points.read().steps().unwrap_or((0.0, 1.0)));
    provide_context(Stage::new(whole));
    let panels = Memo::new(move |_| panels(&points.read().keys()));
    // A live point shows even where the earlier ones could not be fetched.
    let some = Memo::new(move |_| !panels.read().is_empty());
    let missing = move || {
        match session.measured.get() {
        Measured::Loading => view! { <Loading words="Fetching what was measured"/> }.into_any(),
        Measured::Failed(error) => {
            let retry = Callback::new(move |()| session.load_points_again());
            view! { <Trouble error retry/> }.into_any()
        }
        Measured::Known if !some.get() => view! {
            <p class="nothing-yet">"Nothing has been measured yet. The first step shows here as soon as it is done."</p>
        }
        .into_any(),
        Measured::Known => ().into_any(),
    }
    };
    view! {
        <section aria-labelledby="charts-title">
            <h2 id="charts-title" class="sr-only">"Charts"</h2>
            {missing}
            <Show when=move || some.get()>
                <Controls/>
                <div class="charts">
                    <For each=move || panels.get() key=Panel::clone let(panel)>
                        <PanelChart panel/>
                    </For>
                </div>
                <p class="nothing-yet">
                    <a href=move || api::tensorboard_url(&session.id()) rel="external" download="">
                        "Download the curves for TensorBoard"
                    </a>
                </p>
            </Show>
        </section>
    }
}

#[component]
fn PanelChart(panel: Panel) -> impl IntoView {
    let points = expect_context::<RunSession>().points;
    let (title, unit) = (panel.title, panel.unit);
    let lines = Memo::new(move |_| panel.lines(&points.read()));
    view! { <Chart title unit lines/> }
}
