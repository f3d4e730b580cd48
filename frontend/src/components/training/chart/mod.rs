//! Charts that share one cursor, one zoom and one smoothing.

mod controls;
mod legend;
mod plot;
mod stage;

use leptos::html::Div;
use leptos::prelude::*;

pub use controls::Controls;
pub use legend::Swatch;
pub use stage::Stage;

use crate::state::chart::{Line, VIEW, draw, step_under};
use legend::Legend;
use plot::Plot;

/// Steps that a drag must cover to be one.
const LEAST_DRAG: f64 = 1.0;

/// One chart. Its pane is a slider over the steps, for the keyboard too.
#[component]
pub fn Chart(
    title: &'static str,
    unit: &'static str,
    #[prop(into)] lines: Signal<Vec<Line>>,
) -> impl IntoView {
    let stage = expect_context::<Stage>();
    let drawing = Memo::new(move |_| draw(&lines.read(), stage.extent(), stage.smoothing.get()));
    let pane = NodeRef::<Div>::new();
    let drag = RwSignal::new(None::<(f64, f64)>);
    let step_of = move |event: &web_sys::PointerEvent| {
        let bounds = pane.get_untracked()?.get_bounding_client_rect();
        let share = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        Some(step_under(share, untrack(|| stage.extent())))
    };
    let press = move |event: web_sys::PointerEvent| {
        if let Some(step) = step_of(&event) {
            // Without it a drag merely ends at the pane's edge.
            if let Some(pane) = pane.get_untracked() {
                let _ = pane.set_pointer_capture(event.pointer_id());
            }
            drag.set(Some((step, step)));
            stage.cursor.set(Some(step));
        }
    };
    let hover = move |event: web_sys::PointerEvent| {
        if let Some(step) = step_of(&event) {
            stage.cursor.set(Some(step));
            if let Some((from, _)) = drag.get_untracked() {
                drag.set(Some((from, step)));
            }
        }
    };
    let release = move |_| {
        let Some((a, b)) = drag.get_untracked() else {
            return;
        };
        drag.set(None);
        if (a - b).abs() > LEAST_DRAG {
            stage.zoom.set(Some((a.min(b), a.max(b))));
        }
    };
    let leave = move |event: web_sys::PointerEvent| {
        // A lifted finger leaves too, and wants to read what it has touched.
        if drag.read_untracked().is_none() && event.pointer_type() != "touch" {
            stage.cursor.set(None);
        }
    };
    let key = move |event: web_sys::KeyboardEvent| {
        if stage.press(&event.key(), event.shift_key()) {
            event.prevent_default();
        }
    };
    let name = if unit.is_empty() || unit == title {
        title.to_owned()
    } else {
        format!("{title} ({unit})")
    };
    view! {
        <figure class="chart" data-testid="chart">
            <figcaption>
                <h3>{title}{(!unit.is_empty()).then(|| view! { <span class="chart-unit">{unit}</span> })}</h3>
                <Legend lines/>
            </figcaption>
            <div class="chart-pane" node_ref=pane tabindex="0" role="slider" aria-label=name
                aria-valuemin=move || stage.extent().0.to_string()
                aria-valuemax=move || stage.extent().1.to_string()
                aria-valuenow=move || stage.step_shown().to_string()
                aria-valuetext=move || legend::spoken(&lines.read(), stage.step_shown())
                on:pointerdown=press on:pointermove=hover on:pointerup=release
                on:pointercancel=move |_| drag.set(None) on:pointerleave=leave on:keydown=key>
                <svg class="chart-drawing" viewBox=format!("0 0 {} {}", VIEW.width, VIEW.height)
                    aria-hidden="true">
                    <Plot drawing drag/>
                </svg>
            </div>
        </figure>
    }
}
