//! What the page asks of the browser beyond the view.

use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};

/// Shows the application in place of the static shell.
pub fn mount<V: IntoView + 'static>(view: impl FnOnce() -> V + 'static) {
    let Some(place) = document()
        .get_element_by_id("app")
        .and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok())
    else {
        return;
    };
    place.set_inner_html("");
    leptos::mount::mount_to(place, view).forget();
}

/// A panic is written to the console: the page would stop without a word.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&JsValue::from_str(&info.to_string()));
    }));
}

/// The name of the page in the tab and the history.
pub fn set_title(title: &str) {
    document().set_title(&format!("{title} · Illumine"));
}

/// Now, milliseconds of this machine's clock.
pub fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}

/// An instant in the reader's zone and language.
pub fn local_time(ms: i64) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(ms as f64));
    date.to_locale_string("default", &JsValue::UNDEFINED).into()
}

/// A random text of 32 hexadecimal digits. Not a secret.
pub fn random_key() -> String {
    (0..4)
        .map(|_| format!("{:08x}", (js_sys::Math::random() * 4_294_967_296.0) as u32))
        .collect()
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// A value kept in this browser.
pub fn stored(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

/// Keeps a value in this browser, or forgets it. A browser that keeps nothing
/// is no error.
pub fn store(key: &str, value: Option<&str>) {
    let Some(storage) = storage() else { return };
    let _ = match value {
        Some(value) => storage.set_item(key, value),
        None => storage.remove_item(key),
    };
}

/// Puts the keyboard where the id is.
pub fn focus(id: &str) {
    if let Some(element) = document()
        .get_element_by_id(id)
        .and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok())
    {
        let _ = element.focus();
    }
}

/// Closes open menus when a click or Escape goes elsewhere.
pub fn close_menus_from_outside() {
    let close = |keep: Option<web_sys::Node>| {
        let Ok(open) = document().query_selector_all("details.menu[open]") else {
            return;
        };
        for at in 0..open.length() {
            let Some(menu) = open.get(at) else { continue };
            if keep.is_some() && menu.contains(keep.as_ref()) {
                continue;
            }
            if let Ok(menu) = menu.dyn_into::<web_sys::Element>() {
                let _ = menu.remove_attribute("open");
            }
        }
    };
    window_event_listener(leptos::ev::click, move |event| {
        close(event.target().and_then(|target| target.dyn_into().ok()));
    });
    window_event_listener(leptos::ev::keydown, move |event| {
        if event.key() == "Escape" {
            close(None);
        }
    });
}

/// Whether anyone can see the page now.
pub fn is_visible() -> bool {
    document().visibility_state() == web_sys::VisibilityState::Visible
}

/// Calls back every `period` until the component is gone.
pub fn every(period: std::time::Duration, tick: impl Fn() + 'static) {
    if let Ok(handle) = set_interval_with_handle(tick, period) {
        on_cleanup(move || handle.clear());
    }
}
