use leptos::prelude::*;

use super::session::RunSession;
use crate::browser;
use crate::state::training::log::{LogLine, level_name};

/// What happened, the newest first.
#[component]
pub fn Log() -> impl IntoView {
    let log = expect_context::<RunSession>().log;
    let newest_first = move || log.get().into_iter().rev();
    let empty = Memo::new(move |_| log.read().is_empty());
    view! {
        <Show when=move || empty.get()>
            <p class="nothing-yet">"Nothing has been logged, or it is no longer kept."</p>
        </Show>
        <ol class="run-log" data-testid="run-log">
            <For each=newest_first key=|line| line.id.clone() let(line)><Line line/></For>
        </ol>
    }
}

#[component]
fn Line(line: LogLine) -> impl IntoView {
    let time = browser::local_time(line.at.timestamp_millis());
    let level = level_name(line.level);
    view! {
        <li class=format!("log-line {level}")>
            <time datetime=line.at.to_rfc3339()>{time}</time>
            <span class="log-level">{level}</span>
            <span class="log-words">{line.words}</span>
        </li>
    }
}
