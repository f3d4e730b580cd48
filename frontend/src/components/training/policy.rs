use illumine_types::training::PolicyChoice;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::confirm::Confirm;
use crate::api;
use crate::components::icon::Glyph;
use crate::components::status::Complaint;

/// Which checkpoint writes new documents, if it is not the configured policy.
#[component]
pub fn PolicyInUse() -> impl IntoView {
    let choice = RwSignal::new(None::<PolicyChoice>);
    let complaint = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    spawn_local(async move {
        // The table is what the page is for: without an answer nothing is said.
        if let Ok(chosen) = api::policy_choice().await
            && !choice.is_disposed()
        {
            choice.set(chosen);
        }
    });
    let leave = Callback::new(move |()| {
        complaint.set(None);
        busy.set(true);
        spawn_local(async move {
            let answer = api::use_configured_policy().await;
            if choice.is_disposed() {
                return;
            }
            busy.set(false);
            match answer {
                Ok(()) => choice.set(None),
                Err(error) => complaint.set(Some(error.to_string())),
            }
        });
    });
    let line = move |chosen: PolicyChoice| {
        let href = format!("/training/{}?tab=checkpoints", chosen.run);
        view! {
            <div class="notice policy-in-use" data-testid="policy-in-use">
                <p>"New documents are written by "<a href=href>{chosen.name()}</a>"."</p>
                <Confirm id="leave-policy" glyph=Glyph::Leave label="Back to the configured policy"
                    question="Go back to the configured policy?"
                    words="New documents are written by the policy that the configuration names."
                    keep="Stay with this" busy act=leave/>
            </div>
        }
    };
    view! {
        {move || choice.get().map(line)}
        <Complaint words=complaint/>
    }
}
