//! One open document: loads it, follows it, and keeps what is shown in step
//! with the pure [`LiveDocument`], block by block.

mod cells;
mod redraw;

pub use cells::{BlockView, Cell};

use std::time::Duration;

use illumine_types::{Document, Event, Job};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiError, Connection, EventStream};
use crate::app::Installation;
use crate::browser;
use crate::state::live::{Headline, LiveDocument, LiveImage, Phase};
use redraw::Redraw;

/// Events are shown together this often: a fast policy writes many a frame.
const FRAME: Duration = Duration::from_millis(40);
const QUEUE_EVERY: Duration = Duration::from_secs(3);

/// Which picture's drawer is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub index: usize,
    /// Straight to changing what it was drawn from.
    pub change: bool,
}

/// One open document.
#[derive(Clone, Copy)]
pub struct Session {
    id: StoredValue<String>,
    live: StoredValue<LiveDocument>,
    waiting: StoredValue<Vec<Event>>,
    stream: StoredValue<Option<EventStream>, LocalStorage>,
    redraws: StoredValue<Vec<Redraw>, LocalStorage>,
    attempt: StoredValue<u32>,
    now_ms: RwSignal<i64>,
    /// Grows with every change of the live document.
    pulse: RwSignal<u64>,
    pub cells: RwSignal<Vec<Cell>>,
    pub job: RwSignal<Option<Job>>,
    pub document: RwSignal<Option<Document>>,
    /// Something can be shown.
    pub known: RwSignal<bool>,
    /// Why nothing can be shown.
    pub trouble: RwSignal<Option<ApiError>>,
    /// Why the last action failed.
    pub complaint: RwSignal<Option<String>>,
    pub connection_lost: RwSignal<bool>,
    pub opened: RwSignal<Option<Opened>>,
}

impl Session {
    /// Opens a document; everything ends with the component that opened it.
    pub fn open(id: String) -> Self {
        let this = Self {
            id: StoredValue::new(id),
            live: StoredValue::new(LiveDocument::default()),
            waiting: StoredValue::new(Vec::new()),
            stream: StoredValue::new_local(None),
            redraws: StoredValue::new_local(Vec::new()),
            attempt: StoredValue::new(0),
            now_ms: Installation::here().now_ms,
            pulse: RwSignal::new(0),
            cells: RwSignal::new(Vec::new()),
            job: RwSignal::new(None),
            document: RwSignal::new(None),
            known: RwSignal::new(false),
            trouble: RwSignal::new(None),
            complaint: RwSignal::new(None),
            connection_lost: RwSignal::new(false),
            opened: RwSignal::new(None),
        };
        on_cleanup(move || this.leave());
        browser::every(QUEUE_EVERY, move || this.refresh_place());
        this.load();
        this
    }

    pub fn id(self) -> String {
        self.id.get_value()
    }

    pub fn phase(self) -> Phase {
        self.pulse.track();
        self.live.with_value(|live| live.phase.clone())
    }

    pub fn headline(self) -> Headline {
        self.pulse.track();
        // The page's clock ticks every second; words must not lag behind it.
        let now_ms = self.now_ms.get().max(api::server_now_ms());
        self.live.with_value(|live| live.headline(now_ms))
    }

    pub fn remarks(self) -> Vec<String> {
        self.pulse.track();
        self.live.with_value(|live| live.remarks.clone())
    }

    pub fn picture_counts(self) -> (usize, usize) {
        self.pulse.track();
        self.live.with_value(LiveDocument::picture_counts)
    }

    pub fn image(self, index: usize) -> Option<LiveImage> {
        self.pulse.track();
        self.live.with_value(|live| live.image(index).cloned())
    }

    pub fn title(self) -> Option<String> {
        let document = self.document.read();
        let title = document.as_ref().map(|document| document.title.clone());
        title.or_else(|| self.job.read().as_ref().map(|job| job.title.clone()))
    }

    /// Loads the job and, if it has ended, its document; else follows it.
    pub fn load(self) {
        self.trouble.set(None);
        spawn_local(async move {
            let id = self.id();
            let job = api::job(&id).await;
            if self.is_gone() {
                return;
            }
            let job = match job {
                Ok(job) => job,
                Err(error) => return self.trouble.set(Some(error)),
            };
            let ended = job.status.is_final();
            self.take_job(job);
            if ended && self.load_document().await {
                return;
            }
            if !self.is_gone() {
                self.known.set(true);
                self.follow();
            }
        });
    }

    /// Whether there is one.
    async fn load_document(self) -> bool {
        let document = api::document(&self.id()).await;
        if self.is_gone() {
            return true;
        }
        match document {
            Ok(document) => {
                self.take_document(document);
                true
            }
            Err(error) if error.is_not_found() => false,
            Err(error) if self.known.get_untracked() => {
                self.complaint.set(Some(error.to_string()));
                true
            }
            Err(error) => {
                self.trouble.set(Some(error));
                true
            }
        }
    }

    fn follow(self) {
        let on_event = move |event| {
            let Some(first) = self.waiting.try_update_value(|waiting| {
                waiting.push(event);
                waiting.len() == 1
            }) else {
                return;
            };
            if first {
                set_timeout(move || self.flush(), FRAME);
            }
        };
        let on_connection = move |connection| {
            if !self.is_gone() {
                self.connection_lost.set(connection == Connection::Lost);
            }
        };
        let stream = EventStream::open(&self.id(), on_event, on_connection);
        self.stream.set_value(Some(stream));
    }

    fn unfollow(self) {
        if let Some(Some(stream)) = self.stream.try_update_value(Option::take) {
            stream.close();
        }
    }

    fn leave(self) {
        self.unfollow();
        for redraw in self
            .redraws
            .try_update_value(std::mem::take)
            .unwrap_or_default()
        {
            redraw.stream.close();
        }
    }

    fn flush(self) {
        let Some(events) = self.waiting.try_update_value(std::mem::take) else {
            return;
        };
        let ended = self.live.try_update_value(|live| {
            let mut ended = false;
            for event in &events {
                ended = live.apply(event) && event.kind.is_final();
            }
            ended
        });
        self.show();
        if ended == Some(true) {
            self.finish();
        }
    }

    /// After a final event: the stored document is the last word. If the job
    /// was asked for again meanwhile, its next attempt is waited for.
    fn finish(self) {
        spawn_local(async move {
            let Ok(job) = api::job(&self.id()).await else {
                return;
            };
            if self.is_gone() || !job.status.is_final() {
                return;
            }
            self.unfollow();
            self.connection_lost.set(false);
            self.take_job(job);
            self.load_document().await;
        });
    }

    fn take_job(self, job: Job) {
        self.live.update_value(|live| live.note_job(&job));
        self.job.set(Some(job));
        self.show();
    }

    fn take_document(self, document: Document) {
        // The stored document knows nothing of redraws under way.
        let under_way = self.redraws.with_value(|all| {
            let all = all.iter().map(|redraw| (redraw.index, redraw.since_ms));
            all.collect::<Vec<_>>()
        });
        self.live.update_value(|live| {
            live.note_document(&document);
            for (index, since_ms) in under_way {
                live.redraw(index, since_ms);
            }
        });
        self.document.set(Some(document));
        self.known.set(true);
        self.show();
    }

    /// Stops the job.
    pub fn cancel(self) {
        self.act(move |id| async move { api::cancel(&id).await }, |_| {});
    }

    /// Queues the job again.
    pub fn retry(self) {
        let again = move |this: Self| {
            this.document.set(None);
            this.live.update_value(LiveDocument::ask_again);
            this.show();
            this.unfollow();
            this.follow();
        };
        self.act(move |id| async move { api::retry(&id).await }, again);
    }

    fn act<F: Future<Output = Result<(), ApiError>>>(
        self,
        call: impl FnOnce(String) -> F + 'static,
        then: impl FnOnce(Self) + 'static,
    ) {
        self.complaint.set(None);
        spawn_local(async move {
            let answer = call(self.id()).await;
            if self.is_gone() {
                return;
            }
            match answer {
                Ok(()) => then(self),
                Err(error) => self.complaint.set(Some(error.to_string())),
            }
        });
    }

    /// The place in the queue changes without an event.
    fn refresh_place(self) {
        let queued = matches!(untrack(|| self.phase()), Phase::Queued { .. });
        if !queued || !browser::is_visible() {
            return;
        }
        spawn_local(async move {
            if let Ok(job) = api::job(&self.id()).await
                && !self.is_gone()
                && !job.status.is_final()
            {
                self.take_job(job);
            }
        });
    }

    /// The page was left while an answer was on its way.
    fn is_gone(self) -> bool {
        self.live.is_disposed()
    }
}
