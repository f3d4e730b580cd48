use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{IntersectionObserver, IntersectionObserverEntry};

type OnSeen = Closure<dyn Fn(js_sys::Array)>;

/// Calls back whenever it comes into sight.
#[component]
pub fn Sentinel(seen: Callback<()>) -> impl IntoView {
    let place = NodeRef::<Div>::new();
    let kept = StoredValue::new_local(None::<(IntersectionObserver, OnSeen)>);
    Effect::new(move |_| {
        let Some(element) = place.get() else { return };
        let on_seen = OnSeen::new(move |entries: js_sys::Array| {
            let in_sight = entries.iter().any(|entry| {
                entry
                    .unchecked_into::<IntersectionObserverEntry>()
                    .is_intersecting()
            });
            if in_sight {
                seen.run(());
            }
        });
        let Ok(observer) = IntersectionObserver::new(on_seen.as_ref().unchecked_ref()) else {
            return;
        };
        observer.observe(&element);
        kept.set_value(Some((observer, on_seen)));
    });
    on_cleanup(move || {
        if let Some(Some((observer, _))) = kept.try_update_value(Option::take) {
            observer.disconnect();
        }
    });
    view! { <div class="sentinel" node_ref=place></div> }
}
