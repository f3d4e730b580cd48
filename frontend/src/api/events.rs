//! A job's events as they happen (server-sent events).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use illumine_types::Event;
use leptos::prelude::{TimeoutHandle, set_timeout_with_handle};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{EventSource, MessageEvent};

use super::BASE;

/// Every name that the server gives an event; a browser hears only those it
/// listens for.
const NAMES: [&str; 13] = [
    "queued",
    "started",
    "text",
    "tool_started",
    "tool_progress",
    "tool_finished",
    "metrics",
    "scored",
    "log",
    "retrying",
    "completed",
    "failed",
    "cancelled",
];

const MAX_WAIT_S: u64 = 15;

/// Whether events can arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Open,
    Lost,
}

/// An open stream; closes when dropped or after a final event.
#[derive(Clone)]
pub struct EventStream {
    inner: Rc<Inner>,
}

struct Inner {
    url: String,
    on_event: Box<dyn Fn(Event)>,
    on_connection: Box<dyn Fn(Connection)>,
    source: RefCell<Option<Source>>,
    failures: Cell<u32>,
    timer: Cell<Option<TimeoutHandle>>,
    closed: Cell<bool>,
}

struct Source {
    source: EventSource,
    _listeners: Vec<Closure<dyn Fn(MessageEvent)>>,
    _on_open: Closure<dyn Fn()>,
    _on_error: Closure<dyn Fn()>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.source.set_onopen(None);
        self.source.set_onerror(None);
        self.source.close();
    }
}

impl EventStream {
    /// Follows a job from its first event. The browser itself connects again
    /// with `Last-Event-ID`; where it gives up (an error status), this does,
    /// from the beginning: the receiver has to know what it has seen.
    pub fn open(
        id: &str,
        on_event: impl Fn(Event) + 'static,
        on_connection: impl Fn(Connection) + 'static,
    ) -> Self {
        let url = format!("{BASE}/generations/{id}/events");
        Self::follow(url, on_event, on_connection)
    }

    /// The same of a training run.
    pub fn open_training_run(
        id: &str,
        on_event: impl Fn(Event) + 'static,
        on_connection: impl Fn(Connection) + 'static,
    ) -> Self {
        let url = format!("{BASE}/training-runs/{id}/events");
        Self::follow(url, on_event, on_connection)
    }

    fn follow(
        url: String,
        on_event: impl Fn(Event) + 'static,
        on_connection: impl Fn(Connection) + 'static,
    ) -> Self {
        let inner = Rc::new(Inner {
            url,
            on_event: Box::new(on_event),
            on_connection: Box::new(on_connection),
            source: RefCell::new(None),
            failures: Cell::new(0),
            timer: Cell::new(None),
            closed: Cell::new(false),
        });
        Inner::connect(&inner);
        Self { inner }
    }

    /// No more events.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn connect(this: &Rc<Self>) {
        let Ok(source) = EventSource::new(&this.url) else {
            return;
        };
        let listeners: Vec<_> = NAMES
            .into_iter()
            .map(|name| {
                let inner = Rc::downgrade(this);
                let listener = Closure::<dyn Fn(MessageEvent)>::new(move |message| {
                    if let Some(inner) = inner.upgrade() {
                        inner.receive(&message);
                    }
                });
                let function = listener.as_ref().unchecked_ref();
                // Fails only for an event name that is no string.
                let _ = source.add_event_listener_with_callback(name, function);
                listener
            })
            .collect();
        let inner = Rc::downgrade(this);
        let on_open = Closure::<dyn Fn()>::new(move || {
            if let Some(inner) = inner.upgrade() {
                inner.failures.set(0);
                (inner.on_connection)(Connection::Open);
            }
        });
        source.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        let inner = Rc::downgrade(this);
        let on_error = Closure::<dyn Fn()>::new(move || {
            if let Some(inner) = inner.upgrade() {
                Self::lost(&inner);
            }
        });
        source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        this.source.replace(Some(Source {
            source,
            _listeners: listeners,
            _on_open: on_open,
            _on_error: on_error,
        }));
    }

    fn receive(&self, message: &MessageEvent) {
        let Some(data) = message.data().as_string() else {
            return;
        };
        match serde_json::from_str::<Event>(&data) {
            Ok(event) => (self.on_event)(event),
            Err(error) => {
                web_sys::console::warn_1(&format!("an event could not be read: {error}").into());
            }
        }
    }

    fn lost(this: &Rc<Self>) {
        if this.closed.get() {
            return;
        }
        (this.on_connection)(Connection::Lost);
        let gave_up = this
            .source
            .borrow()
            .as_ref()
            .is_some_and(|source| source.source.ready_state() == EventSource::CLOSED);
        if !gave_up {
            return;
        }
        let failures = this.failures.get();
        this.failures.set(failures + 1);
        let wait_s = (1_u64 << failures.min(4)).min(MAX_WAIT_S);
        let inner = Rc::downgrade(this);
        let again = move || {
            if let Some(inner) = inner.upgrade().filter(|inner| !inner.closed.get()) {
                Self::connect(&inner);
            }
        };
        let timer = set_timeout_with_handle(again, Duration::from_secs(wait_s));
        this.timer.set(timer.ok());
    }

    fn close(&self) {
        self.closed.set(true);
        if let Some(timer) = self.timer.take() {
            timer.clear();
        }
        // Not dropped here: the caller may be one of its listeners.
        if let Some(source) = self.source.borrow().as_ref() {
            source.source.close();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use illumine_types::EventKind;

    /// The schema's own list of names, so that a new event is not left unheard.
    #[test]
    fn every_event_is_listened_for() {
        let error = serde_json::from_str::<EventKind>(r#"{"type":"none"}"#).unwrap_err();
        let words = error.to_string();
        let known: Vec<&str> = words.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, NAMES);
    }
}
