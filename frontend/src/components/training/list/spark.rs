use leptos::prelude::*;

use crate::state::chart::spark;

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 24.0;

/// How the reward went, at a glance.
#[component]
pub fn Spark(curve: Vec<f64>) -> impl IntoView {
    // Room for the stroke.
    let view_box = format!("-2 -2 {} {}", WIDTH + 4.0, HEIGHT + 4.0);
    let path = spark(&curve, WIDTH, HEIGHT);
    (!path.is_empty()).then(|| {
        view! {
            <svg class="spark" viewBox=view_box aria-hidden="true"><path class="line series-0" d=path></path></svg>
        }
    })
}
