//! The engine as its users hold it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use super::budget::KvBudget;
use super::config::EngineConfig;
use super::memory;
use super::metrics::Metrics;
use super::model::EngineModel;
use super::request::{EngineRequest, Event, Sink};
use super::scheduler::Scheduler;
use super::sequence::{Submitted, prepare};
use super::step;
use crate::error::{ModelError, Result};
use crate::generate::CancelFlag;
use crate::qwen25_vl::Patches;

/// Of the default budget of keys and values, the part that pictures may take.
const PICTURE_SHARE: usize = 4;

/// A running engine. Cloning it is cheap; its thread ends after the last clone
/// is dropped and the last answer has ended.
#[derive(Clone)]
pub struct Engine {
    model: EngineModel,
    requests: mpsc::Sender<Submitted>,
    shared: Arc<Shared>,
    thread: Arc<JoinHandle<()>>,
    budget: KvBudget,
    picture_budget: usize,
    max_queued: usize,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}

/// What the engine's thread and its handles share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    metrics: Mutex<Metrics>,
    /// Requests submitted and not ended.
    pending: AtomicUsize,
    /// Bytes of their pictures.
    picture_bytes: AtomicUsize,
}

impl Shared {
    pub(super) fn publish(&self, metrics: &Metrics) {
        let mut held = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone_from(metrics);
    }
}

/// Counts a request as pending until it is dropped with its sink.
struct Pending {
    shared: Arc<Shared>,
    picture_bytes: usize,
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Shared {
            pending,
            picture_bytes,
            ..
        } = &*self.shared;
        pending.fetch_sub(1, Ordering::Relaxed);
        picture_bytes.fetch_sub(self.picture_bytes, Ordering::Relaxed);
    }
}

impl Engine {
    /// Starts an engine for `model` on a thread of its own.
    ///
    /// # Errors
    /// [`ModelError::Engine`] when the system gives no thread.
    pub fn start(model: impl Into<EngineModel>, config: &EngineConfig) -> Result<Self> {
        let model = model.into();
        let bytes = config
            .kv_budget_bytes
            .unwrap_or_else(|| memory::budget_on(model.device()));
        let paged = model.decoder().is_some();
        let number = model.kv_number_bytes();
        let budget = KvBudget::new(bytes, &model.folder().config, number, paged);
        let picture_budget = config
            .picture_budget_bytes
            .unwrap_or_else(|| memory::default_budget() / PICTURE_SHARE);
        let (requests, receiver) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        shared.publish(&Metrics {
            kv_budget_bytes: bytes,
            ..Metrics::default()
        });
        let thread = {
            let (model, shared, config) = (model.clone(), Arc::clone(&shared), config.clone());
            move || {
                let scheduler = Scheduler::new(&model, budget, &config);
                step::run(scheduler, &receiver, &shared);
            }
        };
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(thread)
            .map_err(|error| ModelError::Engine(format!("no thread for it: {error}")))?;
        Ok(Self {
            model,
            requests,
            shared,
            thread: Arc::new(thread),
            budget,
            picture_budget,
            max_queued: config.max_concurrency.max(1) + config.max_waiting,
        })
    }

    /// The model.
    pub fn model(&self) -> &EngineModel {
        &self.model
    }

    /// Requests that may be pending together before one more is refused as busy.
    pub const fn room(&self) -> usize {
        self.max_queued
    }

    /// Asks for an answer. `sink` is called on the engine's thread with each
    /// piece; the flag ends the answer within a step.
    ///
    /// # Errors
    /// - [`ModelError::Request`] naming what makes the request impossible: an
    ///   empty prompt or one beyond the context, pictures that are not those of the
    ///   prompt, a parameter out of range, an adapter that is not loaded, more
    ///   tokens than the KV budget can ever hold;
    /// - [`ModelError::Busy`] and [`ModelError::PicturesBusy`] when as many wait as
    ///   may, or their pictures fill the memory;
    /// - [`ModelError::Engine`] when the engine has stopped.
    pub fn submit(&self, request: EngineRequest, mut sink: Sink) -> Result<CancelFlag> {
        let prepared = prepare(&self.model, &request)?;
        let generation = &request.generation;
        let prompt = generation.prompt_ids.len();
        let total = prompt + generation.longest_answer(&self.model.folder().config);
        self.budget.check(prompt, total)?;

        let guard = self.take_in(request.pictures.as_deref())?;
        let cancel = CancelFlag::default();
        let submitted = Submitted {
            request,
            prepared,
            sink: Box::new(move |event| {
                let _counted = &guard;
                sink(event)
            }),
            cancel: cancel.clone(),
            at: Instant::now(),
        };
        self.requests
            .send(submitted)
            .map_err(|_| ModelError::Engine("it has stopped".to_owned()))?;
        Ok(cancel)
    }

    /// Counts a request, or refuses it because others fill the engine.
    fn take_in(&self, pictures: Option<&Patches>) -> Result<Pending> {
        let (shared, limit) = (&self.shared, self.picture_budget);
        let bytes = pictures.map_or(0, Patches::bytes);
        if bytes > limit {
            return Err(ModelError::Request {
                field: "messages",
                reason: format!(
                    "the pictures take {} MiB, and {} MiB are there for pictures: send fewer or \
                     smaller ones",
                    bytes.div_ceil(1 << 20),
                    limit >> 20
                ),
            });
        }
        let pending = shared.pending.fetch_add(1, Ordering::Relaxed);
        let others = shared.picture_bytes.fetch_add(bytes, Ordering::Relaxed);
        let counted = Pending {
            shared: Arc::clone(shared),
            picture_bytes: bytes,
        };
        if pending >= self.max_queued {
            let limit = self.max_queued;
            return Err(ModelError::Busy { pending, limit });
        }
        if bytes > 0 && others + bytes > limit {
            return Err(ModelError::PicturesBusy {
                bytes: others,
                limit,
            });
        }
        Ok(counted)
    }

    /// Asks for an answer and gives its pieces as an iterator that blocks.
    ///
    /// # Errors
    /// Those of [`Self::submit`].
    pub fn stream(&self, request: EngineRequest) -> Result<EventStream> {
        let (sender, events) = mpsc::channel();
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let cancel = self.submit(request, Box::new(sink))?;
        Ok(EventStream { events, cancel })
    }

    /// Tokens that an answer to a prompt of `prompt` tokens can have by the
    /// context and by the KV budget.
    pub fn longest_answer(&self, prompt: usize) -> usize {
        let context = self.model.folder().config.context_length();
        let most = self.budget.longest().min(context);
        most.saturating_sub(prompt)
    }

    /// Whether its thread still serves.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// What it is doing.
    pub fn metrics(&self) -> Metrics {
        let held = self.shared.metrics.lock();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The pieces of one answer. Dropping it cancels the request.
#[derive(Debug)]
pub struct EventStream {
    events: mpsc::Receiver<Event>,
    cancel: CancelFlag,
}

impl EventStream {
    /// Ends the answer within a step.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Iterator for EventStream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.events.recv().ok()
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
