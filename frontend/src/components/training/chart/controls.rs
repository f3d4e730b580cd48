use leptos::prelude::*;

use super::Stage;

/// The step that is looked at, smoothing, and the way back from a zoom.
#[component]
pub fn Controls() -> impl IntoView {
    let stage = expect_context::<Stage>();
    let smooth = move |event| {
        let percent = event_target_value(&event).parse::<f64>().unwrap_or(0.0);
        stage.smoothing.set((percent / 100.0).clamp(0.0, 0.99));
    };
    let step = move || format!("Step {}", stage.step_shown());
    view! {
        <div class="chart-controls">
            <p class="chart-step" data-testid="step-cursor">{step}</p>
            <label class="chart-smoothing">
                "Smoothing"
                <input type="range" min="0" max="98" step="2" data-testid="smoothing"
                    prop:value=move || format!("{:.0}", stage.smoothing.get() * 100.0) on:input=smooth/>
                <span class="chart-value">{move || format!("{:.2}", stage.smoothing.get())}</span>
            </label>
            {move || match stage.zoom.get() {
                Some((from, to)) => view! {
                    <button type="button" class="button quiet" data-testid="whole-run"
                        on:click=move |_| stage.zoom.set(None)>
                        {format!("Steps {from} to {to}: show the whole run")}
                    </button>
                }
                .into_any(),
                None => view! { <p class="hint">"Drag over a chart, or press + on it, to look closer"</p> }.into_any(),
            }}
        </div>
    }
}
