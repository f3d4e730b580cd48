use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use super::checkpoints::Checkpoints;
use super::config::Configuration;
use super::log::Log;
use super::session::RunSession;
use crate::browser;
use crate::components::training::samples::Samples;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Samples,
    Configuration,
    Log,
    Checkpoints,
}

impl Tab {
    const ALL: [Self; 4] = [
        Self::Samples,
        Self::Configuration,
        Self::Log,
        Self::Checkpoints,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Configuration => "configuration",
            Self::Log => "log",
            Self::Checkpoints => "checkpoints",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Samples => "Samples",
            Self::Configuration => "Configuration",
            Self::Log => "Log",
            Self::Checkpoints => "Checkpoints",
        }
    }

    /// The neighbour that an arrow key leads to.
    fn beside(self, key: &str) -> Option<Self> {
        let at = Self::ALL.iter().position(|tab| *tab == self)?;
        let count = Self::ALL.len();
        match key {
            "ArrowRight" => Some(Self::ALL[(at + 1) % count]),
            "ArrowLeft" => Some(Self::ALL[(at + count - 1) % count]),
            "Home" => Self::ALL.first().copied(),
            "End" => Self::ALL.last().copied(),
            _ => None,
        }
    }
}

/// What lies under the charts. The address bar names the tab, so that a reload
/// shows the same.
#[component]
pub fn Tabs() -> impl IntoView {
    let session = expect_context::<RunSession>();
    let query = use_query_map();
    let shown = Memo::new(move |_| {
        let word = query.read().get("tab").unwrap_or_default();
        let tab = Tab::ALL.into_iter().find(|tab| tab.word() == word);
        tab.unwrap_or(Tab::Samples)
    });
    let navigate = StoredValue::new_local(use_navigate());
    let open = move |tab: Tab| {
        let options = NavigateOptions {
            replace: true,
            scroll: false,
            ..NavigateOptions::default()
        };
        let path = format!("/training/{}?tab={}", session.id(), tab.word());
        navigate.with_value(|navigate| navigate(&path, options));
    };
    let key = move |event: web_sys::KeyboardEvent| {
        if let Some(tab) = shown.get_untracked().beside(&event.key()) {
            event.prevent_default();
            open(tab);
            browser::focus(&tab_id(tab));
        }
    };
    view! {
        <section class="run-more">
            <h2 class="sr-only">"More about this run"</h2>
            <div class="tabs" role="tablist" aria-label="More about this run" on:keydown=key>
                {Tab::ALL.map(|tab| view! {
                    <button type="button" role="tab" id=tab_id(tab) class="tab" data-testid=tab_id(tab)
                        aria-selected=move || (shown.get() == tab).to_string() aria-controls="tab-panel"
                        tabindex=move || if shown.get() == tab { "0" } else { "-1" }
                        on:click=move |_| open(tab)>
                        {tab.title()}
                    </button>
                }).collect_view()}
            </div>
            <div id="tab-panel" class="tab-panel" role="tabpanel" aria-labelledby=move || tab_id(shown.get())>
                {move || match shown.get() {
                    Tab::Samples => view! { <Samples/> }.into_any(),
                    Tab::Configuration => view! { <Configuration/> }.into_any(),
                    Tab::Log => view! { <Log/> }.into_any(),
                    Tab::Checkpoints => view! { <Checkpoints/> }.into_any(),
                }}
            </div>
        </section>
    }
}

fn tab_id(tab: Tab) -> String {
    format!("tab-{}", tab.word())
}
