use leptos::prelude::*;

use super::Stage;
use crate::state::chart::{Line, number, value_at};

/// Lines by name, with their values where the cursor is.
#[component]
pub fn Legend(lines: Signal<Vec<Line>>) -> impl IntoView {
    let stage = expect_context::<Stage>();
    let entries = Memo::new(move |_| {
        let lines = lines.read();
        let all = lines.iter();
        let entry = |line: &Line| (line.name.clone(), line.colour, line.dashed);
        all.map(entry).collect::<Vec<_>>()
    });
    let value = move |at: usize| {
        let lines = lines.read();
        let line = lines.get(at)?;
        value_at(&line.points, stage.step_shown()).map(number)
    };
    view! {
        <ul class="chart-legend">
            {move || entries.get().into_iter().enumerate().map(|(at, (name, colour, dashed))| view! {
                <li>
                    <Swatch colour dashed/>
                    <span class="chart-name" title=name>{name.clone()}</span>
                    <span class="chart-value">{move || value(at)}</span>
                </li>
            }).collect_view()}
        </ul>
    }
}

/// A piece of a line.
#[component]
pub fn Swatch(colour: usize, dashed: bool) -> impl IntoView {
    view! {
        <svg class="swatch" viewBox="0 0 18 6" aria-hidden="true">
            <path class=line_class(colour) class:dashed=dashed d="M1 3H17"></path>
        </svg>
    }
}

/// The colours are in the style sheet.
pub fn line_class(colour: usize) -> String {
    format!("line series-{}", colour % 6)
}

/// The values of a step for who cannot see them.
pub fn spoken(lines: &[Line], step: f64) -> String {
    let mut words = format!("Step {step}");
    for line in lines {
        if let Some(value) = value_at(&line.points, step) {
            words.push_str(&format!(", {} {}", line.name, number(value)));
        }
    }
    words
}
