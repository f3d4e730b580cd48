//! One open run: its record, what it has measured, and what happens to it.

use std::time::Duration;

use illumine_types::training::{TrainingConfig, TrainingRun};
use illumine_types::{Event, EventKind, JobState};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiError, Connection, EventStream};
use crate::browser;
use crate::state::chart::RunPoints;
use crate::state::live::event_position;
use crate::state::training::log::{self, LogLine};

/// Events are shown together this often: a stream is replayed in one burst.
const FRAME: Duration = Duration::from_millis(100);
/// How far the run is, is asked for this often.
const REFRESH_EVERY: Duration = Duration::from_secs(4);

/// Then the log of a run that has ended is given up.
const MOST_LOSSES: u32 = 3;

/// Whether the points are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    Loading,
    Known,
    Failed(ApiError),
}

/// One open run.
#[derive(Clone, Copy)]
pub struct RunSession {
    id: StoredValue<String>,
    waiting: StoredValue<Vec<Event>>,
    stream: StoredValue<Option<EventStream>, LocalStorage>,
    last_event: StoredValue<Option<(u64, u64)>>,
    /// Times that the stream of a run that has ended broke off.
    losses: StoredValue<u32>,
    pub run: RwSignal<Option<TrainingRun>>,
    pub points: RwSignal<RunPoints>,
    pub measured: RwSignal<Measured>,
    pub log: RwSignal<Vec<LogLine>>,
    /// Why nothing can be shown.
    pub trouble: RwSignal<Option<ApiError>>,
    /// Why the last action failed.
    pub complaint: RwSignal<Option<String>>,
    /// An action is on its way.
    pub busy: RwSignal<bool>,
    pub connection_lost: RwSignal<bool>,
}

impl RunSession {
    /// Opens a run; everything ends with the component that opened it.
    pub fn open(id: String) -> Self {
        let this = Self {
            id: StoredValue::new(id),
            waiting: StoredValue::new(Vec::new()),
            stream: StoredValue::new_local(None),
            last_event: StoredValue::new(None),
            losses: StoredValue::new(0),
            run: RwSignal::new(None),
            points: RwSignal::new(RunPoints::default()),
            measured: RwSignal::new(Measured::Loading),
            log: RwSignal::new(Vec::new()),
            trouble: RwSignal::new(None),
            complaint: RwSignal::new(None),
            busy: RwSignal::new(false),
            connection_lost: RwSignal::new(false),
        };
        on_cleanup(move || this.unfollow());
        browser::every(REFRESH_EVERY, move || {
            if this.is_under_way() && browser::is_visible() {
                this.refresh();
            }
        });
        this.load();
        this
    }

    pub fn id(self) -> String {
        self.id.get_value()
    }

    pub fn status(self) -> Option<JobState> {
        self.run.read().as_ref().map(|run| run.job.status)
    }

    pub fn config(self) -> Option<TrainingConfig> {
        self.run.read().as_ref().map(|run| run.config.clone())
    }

    /// Loads the run and what it has measured, then follows it. The stream of a
    /// run that has ended is read too: it holds the log.
    pub fn load(self) {
        self.trouble.set(None);
        spawn_local(async move {
            let run = api::training_run(&self.id()).await;
            if self.is_gone() {
                return;
            }
            match run {
                Ok(run) => self.run.set(Some(run)),
                Err(error) => return self.trouble.set(Some(error)),
            }
            self.load_points().await;
            if !self.is_gone() {
                self.follow();
            }
        });
    }

    /// Tries again after the points could not be fetched.
    pub fn load_points_again(self) {
        self.measured.set(Measured::Loading);
        spawn_local(self.load_points());
    }

    async fn load_points(self) {
        let answer = api::metrics(&self.id(), &[]).await;
        if self.is_gone() {
            return;
        }
        match answer {
            Ok(stored) => {
                self.points.set(RunPoints::stored(stored.points));
                self.measured.set(Measured::Known);
            }
            // What is shown already stays.
            Err(_) if *self.measured.read_untracked() == Measured::Known => {}
            Err(error) => self.measured.set(Measured::Failed(error)),
        }
    }

    fn follow(self) {
        let on_event = move |event| {
            let first = self.waiting.try_update_value(|waiting| {
                waiting.push(event);
                waiting.len() == 1
            });
            if first == Some(true) {
                set_timeout(move || self.flush(), FRAME);
            }
        };
        let on_connection = move |connection| {
            if self.is_gone() {
                return;
            }
            let lost = connection == Connection::Lost;
            let under_way = self.is_under_way();
            self.connection_lost.set(lost && under_way);
            // The events of a run that ended long ago may no longer be kept.
            if lost && !under_way {
                self.losses.update_value(|losses| *losses += 1);
                if self.losses.get_value() >= MOST_LOSSES {
                    // Not now: one of the stream's own listeners is running.
                    set_timeout(move || self.unfollow(), Duration::ZERO);
                }
            }
        };
        self.losses.set_value(0);
        let stream = EventStream::open_training_run(&self.id(), on_event, on_connection);
        self.stream.set_value(Some(stream));
    }

    fn unfollow(self) {
        if let Some(Some(stream)) = self.stream.try_update_value(Option::take) {
            stream.close();
        }
    }

    fn flush(self) {
        let Some(mut events) = self.waiting.try_update_value(std::mem::take) else {
            return;
        };
        // A stream that begins again tells what is known.
        events.retain(|event| self.is_new(event));
        let Some(last) = events.last() else { return };
        let ended = last.kind.is_final();
        let changed = events.iter().any(|event| {
            !matches!(
                event.kind,
                EventKind::Metrics { .. } | EventKind::Log { .. }
            )
        });
        let lines: Vec<_> = events.iter().filter_map(LogLine::of).collect();
        if !lines.is_empty() {
            self.log
                .update(|log| lines.into_iter().for_each(|line| log::push(log, line)));
        }
        let measured = |event: &Event| matches!(event.kind, EventKind::Metrics { .. });
        if events.iter().any(measured) {
            self.points.update(|points| {
                for event in events {
                    if let EventKind::Metrics { values } = event.kind {
                        points.take(event.attempt, values);
                    }
                }
            });
        }
        if ended {
            self.finish();
        } else if changed {
            self.refresh();
        }
    }

    fn is_new(self, event: &Event) -> bool {
        let Some(position) = event_position(&event.id) else {
            return true;
        };
        let known = self.last_event.get_value();
        let new = known.is_none_or(|known| position > known);
        if new {
            self.last_event.set_value(Some(position));
        }
        new
    }

    /// After a final event: what the server has kept is the last word. If the
    /// run was resumed meanwhile, it is followed on.
    fn finish(self) {
        spawn_local(async move {
            let Ok(run) = api::training_run(&self.id()).await else {
                return;
            };
            if self.is_gone() {
                return;
            }
            let ended = run.job.status.is_final();
            self.run.set(Some(run));
            if ended {
                self.unfollow();
                self.connection_lost.set(false);
                self.load_points().await;
            }
        });
    }

    fn refresh(self) {
        spawn_local(async move {
            if let Ok(run) = api::training_run(&self.id()).await
                && !self.is_gone()
            {
                self.run.set(Some(run));
            }
        });
    }

    /// Ends the run after the step under way.
    pub fn stop(self) {
        self.act(
            move |id| async move { api::stop_training_run(&id).await },
            |this, ()| this.refresh(),
        );
    }

    /// Goes on from the last checkpoint; `elsewhere` is told if that is another run.
    pub fn resume(self, elsewhere: Callback<String>) {
        let resumed = move |this: Self, id: String| {
            if id != this.id() {
                return elsewhere.run(id);
            }
            this.unfollow();
            this.follow();
            this.refresh();
        };
        let call = |id: String| async move {
            let accepted = api::resume_training_run(&id).await?;
            Ok(accepted.id.to_string())
        };
        self.act(call, resumed);
    }

    /// Removes the run; `gone` is told when it is.
    pub fn delete(self, gone: Callback<()>) {
        self.act(
            move |id| async move { api::delete_training_run(&id).await },
            move |_, ()| gone.run(()),
        );
    }

    fn act<T, F: Future<Output = Result<T, ApiError>>>(
        self,
        call: impl FnOnce(String) -> F + 'static,
        then: impl FnOnce(Self, T) + 'static,
    ) {
        self.complaint.set(None);
        self.busy.set(true);
        spawn_local(async move {
            let answer = call(self.id()).await;
            if self.is_gone() {
                return;
            }
            self.busy.set(false);
            match answer {
                Ok(answer) => then(self, answer),
                Err(error) => self.complaint.set(Some(error.to_string())),
            }
        });
    }

    fn is_under_way(self) -> bool {
        let run = self.run.read_untracked();
        run.as_ref().is_some_and(|run| !run.job.status.is_final())
    }

    /// The page was left while an answer was on its way.
    fn is_gone(self) -> bool {
        self.run.is_disposed()
    }
}
