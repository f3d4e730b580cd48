//! An instant: how long ago, and exactly on hover.

use leptos::prelude::*;

use crate::app::Installation;
use crate::browser;
use crate::state::time::relative;

#[component]
pub fn Moment(at: chrono::DateTime<chrono::Utc>) -> impl IntoView {
    let then_ms = at.timestamp_millis();
    let now_ms = Installation::here().now_ms;
    let words = Memo::new(move |_| relative(now_ms.get(), then_ms));
    view! {
        <time datetime=at.to_rfc3339() title=browser::local_time(then_ms)>{words}</time>
    }
}
