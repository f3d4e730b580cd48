use leptos::prelude::*;

use super::Stage;
use super::legend::line_class;
use crate::state::chart::{Drawing, DrawnLine, PLOT, VIEW};

/// Axes, lines, the cursor, and what is being dragged over. The inner SVG cuts
/// off what lies outside of the plot.
#[component]
pub fn Plot(drawing: Memo<Drawing>, drag: RwSignal<Option<(f64, f64)>>) -> impl IntoView {
    let stage = expect_context::<Stage>();
    let across = move |step: f64| drawing.read().plane.across(step);
    let cursor = move || {
        let x = format!("{:.1}", across(stage.cursor.get()?));
        Some(
            view! { <line class="chart-cursor" x1=x.clone() x2=x y1="0" y2=PLOT.height.to_string()></line> },
        )
    };
    let selection = move || {
        let (a, b) = drag.get()?;
        let (a, b) = (across(a.min(b)), across(a.max(b)));
        Some(view! {
            <rect class="chart-selection" x=format!("{a:.1}") y="0" width=format!("{:.1}", b - a)
                height=PLOT.height.to_string()></rect>
        })
    };
    view! {
        {move || value_axis(&drawing.read().value_ticks)}
        {move || step_axis(&drawing.read().step_ticks)}
        <svg class="chart-plot" x=PLOT.left.to_string() y=PLOT.top.to_string()
            width=PLOT.width.to_string() height=PLOT.height.to_string()
            viewBox=format!("0 0 {} {}", PLOT.width, PLOT.height)>
            {selection}
            {move || drawing.read().lines.iter().map(line).collect_view()}
            {cursor}
        </svg>
    }
}

fn value_axis(ticks: &[(f64, String)]) -> impl IntoView + use<> {
    let ticks = ticks.iter().map(|(down, words)| {
        let y = format!("{:.1}", down + PLOT.top);
        let right = (PLOT.left + PLOT.width).to_string();
        view! {
            <line class="chart-grid" x1=PLOT.left.to_string() x2=right y1=y.clone() y2=y.clone()></line>
            <text class="chart-tick" x=(PLOT.left - 6.0).to_string() y=y dy="0.35em" text-anchor="end">
                {words.clone()}
            </text>
        }
    });
    ticks.collect_view()
}

fn step_axis(ticks: &[(f64, String)]) -> impl IntoView + use<> {
    let ticks = ticks.iter().map(|(across, words)| {
        // About half its width: the last one must not be cut off at the edge.
        let half = words.chars().count() as f64 * 3.4;
        let x = (across + PLOT.left).min(VIEW.width - half);
        view! {
            <text class="chart-tick" x=format!("{x:.1}") y=(VIEW.height - 6.0).to_string()
                text-anchor="middle">
                {words.clone()}
            </text>
        }
    });
    ticks.collect_view()
}

fn line(line: &DrawnLine) -> impl IntoView + use<> {
    let class = line_class(line.colour);
    let band = line.band.clone().map(|d| {
        view! { <path class=format!("band series-{}", line.colour % 6) d=d></path> }
    });
    let measured = line.measured.clone().map(|d| {
        view! { <path class=format!("{class} measured") d=d></path> }
    });
    let dot = |(x, y): &(f64, f64)| {
        view! {
            <circle class=format!("dot series-{}", line.colour % 6) cx=format!("{x:.1}")
                cy=format!("{y:.1}") r="2"></circle>
        }
    };
    let dots = line.dots.iter().map(dot).collect_view();
    view! {
        {band}
        {measured}
        <path class=class class:dashed=line.dashed d=line.path.clone()></path>
        {dots}
    }
}
