use leptos::prelude::*;

use super::lamps::Lamps;
use super::sign_out::SignOut;
use super::theme_switch::ThemeSwitch;
use crate::app::Installation;
use crate::state::words::counted;

/// What this installation can do now.
#[component]
pub fn TopBar() -> impl IntoView {
    let installation = Installation::here();
    let capabilities = installation.capabilities;
    let policy = Memo::new(move |_| {
        let capabilities = capabilities.read();
        let policies = &capabilities.as_ref()?.policies;
        let policy = policies.iter().find(|policy| policy.default);
        let policy = policy.or_else(|| policies.first())?;
        Some((policy.name.clone(), policy.summary.clone()))
    });
    let queue = Memo::new(move |_| {
        let capabilities = capabilities.read();
        let capabilities = capabilities.as_ref()?;
        Some(match (capabilities.workers, capabilities.queue_length) {
            (0, _) => "No worker".to_owned(),
            (_, 0) => "No queue".to_owned(),
            (_, n) => counted(usize::try_from(n).unwrap_or(usize::MAX), "job") + " waiting",
        })
    });
    view! {
        <header class="top-bar">
            <span class="wordmark" aria-hidden="true">"Illumine"</span>
            <div class="top-bar-facts">
                {move || policy.get().map(|(name, summary)| view! {
                    <span class="policy" title=summary><span class="sr-only">"Policy "</span>{name}</span>
                })}
                <Show when=move || capabilities.read().is_some()>
                    <Lamps/>
                </Show>
                {move || queue.get().map(|words| view! { <span class="queue">{words}</span> })}
            </div>
            <ThemeSwitch/>
            <Show when=move || installation.signed_in_by_key()>
                <SignOut/>
            </Show>
        </header>
    }
}
