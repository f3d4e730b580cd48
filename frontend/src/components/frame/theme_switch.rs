use leptos::prelude::*;

use crate::browser;
use crate::components::icon::{Glyph, Icon};

/// Where the choice is kept; `theme.js` reads it before the first paint.
const KEY: &str = "illumine-theme";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    fn stored() -> Self {
        match browser::stored(KEY).as_deref() {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    const fn name(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::System => "Colours follow the system",
            Self::Light => "Light colours",
            Self::Dark => "Dark colours",
        }
    }

    const fn glyph(self) -> Glyph {
        match self {
            Self::System => Glyph::System,
            Self::Light => Glyph::Sun,
            Self::Dark => Glyph::Moon,
        }
    }
}

fn apply(theme: Theme) {
    browser::store(KEY, theme.name());
    let Some(root) = document().document_element() else {
        return;
    };
    let _ = match theme.name() {
        Some(name) => root.set_attribute("data-theme", name),
        None => root.remove_attribute("data-theme"),
    };
}

/// System, light, dark, and round again.
#[component]
pub fn ThemeSwitch() -> impl IntoView {
    let theme = RwSignal::new(Theme::stored());
    let turn = move |_| {
        let next = theme.get_untracked().next();
        apply(next);
        theme.set(next);
    };
    let words = move || format!("{}. Change", theme.get().words());
    view! {
        <button type="button" class="icon-button" data-testid="theme-switch" title=words
            aria-label=words on:click=turn>
            {move || view! { <Icon glyph=theme.get().glyph()/> }}
        </button>
    }
}
