//! One picture model serving many requests: a bounded queue in front of a thread that
//! draws.
//!
//! ```text
//! submit ──fit──▶ queue ──alike, in order of arrival──▶ batch ──▶ pipeline ──steps──▶ sinks
//! ```
//!
//! - Requests that can be steps of one batch are drawn together, within the memory
//!   budget; the first in the queue is always in the next batch.
//! - A request is checked before it is queued, and refused in words there.
//! - Cancelling takes effect at the next step.
//! - The model is loaded once. Where an idle time is set it is put away after it, and
//!   loaded again by the next request.

mod draw;
mod metrics;
mod queue;

use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use image::RgbImage;

use super::request::{DrawRequest, ImageModelInfo, ImagePipeline};
use crate::error::{ModelError, Result};
use crate::generate::CancelFlag;

pub use metrics::StudioMetrics;

/// Makes the pipeline, at the start and after it was put away.
pub type Opener = Box<dyn Fn() -> Result<Arc<dyn ImagePipeline>> + Send + Sync>;

/// How a studio works.
#[derive(Clone, Debug)]
pub struct StudioConfig {
    /// Requests that may wait.
    pub queue: usize,
    /// Bytes of decoded pictures that may wait with them; one request always may.
    pub picture_bytes: u64,
    /// Requests drawn together at most.
    pub batch: usize,
    /// Bytes beyond the weights that drawing may take; no bound when absent.
    pub memory: Option<u64>,
    /// Time without a request after which the model is put away; never when absent.
    pub idle: Option<Duration>,
    /// Time between two previews of one request.
    pub preview_every: Duration,
}

impl Default for StudioConfig {
    fn default() -> Self {
        Self {
            queue: 32,
            picture_bytes: 1 << 30,
            batch: 4,
            memory: None,
            idle: None,
            preview_every: Duration::from_millis(500),
        }
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum StudioEvent {
    /// It is being drawn.
    Started,
    /// `step` of `steps` are done.
    Step {
        step: usize,
        steps: usize,
        /// A small picture of where it stands, where previews were asked for and one
        /// is due.
        preview: Option<RgbImage>,
    },
    /// The picture; nothing follows.
    Finished(Box<RgbImage>),
    /// It was cancelled; nothing follows.
    Cancelled,
    /// Why there is none; nothing follows.
    Failed(ModelError),
}

/// Hears of a request. Breaking off cancels it.
pub type Sink = Box<dyn FnMut(StudioEvent) -> ControlFlow<()> + Send>;

/// A request that was taken in.
#[derive(Debug)]
pub struct Accepted {
    /// As it will be drawn.
    pub request: DrawRequest,
    /// What was changed in it, in words.
    pub notes: Vec<String>,
    /// Ends it at the next step.
    pub cancel: CancelFlag,
}

/// A picture model with its queue. Clones share it; when the last one goes, the thread
/// ends after the batch that it draws, and those that wait hear that they failed.
#[derive(Clone)]
pub struct Studio {
    shared: Arc<Shared>,
    /// Ends the thread when the last handle goes.
    _alive: Arc<Alive>,
}

impl fmt::Debug for Studio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        formatter
            .debug_struct("Studio")
            .field("model", &info.name)
            .finish_non_exhaustive()
    }
}

struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

struct Shared {
    open: Opener,
    config: StudioConfig,
    info: ImageModelInfo,
    state: Mutex<State>,
    /// Something was queued, or the last handle went.
    changed: Condvar,
    /// Held while the model is loaded, so that it is loaded once.
    loading: Mutex<()>,
}

struct State {
    pipeline: Option<Arc<dyn ImagePipeline>>,
    queue: queue::Queue,
    metrics: StudioMetrics,
    /// Steps of the batch under way.
    drawing_steps: usize,
    last_used: Instant,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What it holds is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pipeline, loaded when it was put away.
    fn pipeline(&self) -> Result<Arc<dyn ImagePipeline>> {
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut state = self.lock();
            state.last_used = Instant::now();
            if let Some(pipeline) = &state.pipeline {
                return Ok(Arc::clone(pipeline));
            }
        }
        let pipeline = guarded(|| (self.open)()).unwrap_or_else(|reason| {
            let reason = format!("loading the model panicked: {reason}");
            Err(ModelError::Engine(reason))
        })?;
        let mut state = self.lock();
        state.last_used = Instant::now();
        state.metrics.loads_total += 1;
        state.pipeline = Some(Arc::clone(&pipeline));
        Ok(pipeline)
    }
}

/// What `work` yields, or what it panicked with, in words.
fn guarded<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        words.unwrap_or("no reason given").to_owned()
    })
}

impl Studio {
    /// Loads the model and starts the thread; blocks while it loads.
    ///
    /// # Errors
    /// Those of `open`; [`ModelError::Engine`] when the system gives no thread.
    pub fn start(open: Opener, config: StudioConfig) -> Result<Self> {
        let pipeline = open()?;
        let shared = Arc::new(Shared {
            open,
            info: pipeline.info().clone(),
            state: Mutex::new(State {
                pipeline: Some(pipeline),
                queue: queue::Queue::default(),
                metrics: StudioMetrics {
                    loads_total: 1,
                    ..StudioMetrics::default()
                },
                drawing_steps: 0,
                last_used: Instant::now(),
                closed: false,
            }),
            changed: Condvar::new(),
            loading: Mutex::new(()),
            config,
        });
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("studio".to_owned())
            .spawn(move || draw::run(&own))
            .map_err(|error| ModelError::Engine(format!("no thread for it: {error}")))?;
        Ok(Self {
            _alive: Arc::new(Alive(Arc::clone(&shared))),
            shared,
        })
    }

    /// The model.
    pub fn info(&self) -> &ImageModelInfo {
        &self.shared.info
    }

    /// Asks for a picture; blocks while a model that was put away is loaded. `sink`
    /// is called on the drawing thread; `previews` says whether it wants small pictures
    /// meanwhile.
    ///
    /// # Errors
    /// - [`ModelError::Request`] naming what makes the request impossible;
    /// - [`ModelError::Busy`] when as many wait as may, [`ModelError::PicturesBusy`]
    ///   when their pictures take as much memory as they may;
    /// - those of loading.
    pub fn submit(&self, request: DrawRequest, previews: bool, sink: Sink) -> Result<Accepted> {
        let pipeline = self.shared.pipeline()?;
        let (request, notes) = pipeline.fit(request)?;
        self.check_memory(&*pipeline, &request)?;
        let cancel = CancelFlag::default();
        let mut state = self.shared.lock();
        let limit = self.shared.config.queue;
        if state.queue.len() >= limit {
            // Those that gave up while they waited make room.
            let gone = state.queue.take_cancelled();
            state.metrics.cancelled_total += gone.len() as u64;
            drop(state);
            for mut job in gone {
                let _ = (job.sink)(StudioEvent::Cancelled);
            }
            state = self.shared.lock();
        }
        let waiting = state.queue.picture_bytes();
        let added = queue::picture_bytes(&request);
        let most = self.shared.config.picture_bytes;
        if waiting > 0 && added > 0 && waiting + added > most {
            state.metrics.refused_total += 1;
            return Err(ModelError::PicturesBusy {
                bytes: waiting as usize,
                limit: most as usize,
            });
        }
        if state.queue.len() >= limit {
            state.metrics.refused_total += 1;
            return Err(ModelError::Busy {
                pending: state.queue.len(),
                limit,
            });
        }
        state.metrics.requests_total += 1;
        state.queue.push(queue::Job {
            request: request.clone(),
            sink,
            cancel: cancel.clone(),
            previews,
            last_preview: None,
        });
        drop(state);
        self.shared.changed.notify_all();
        Ok(Accepted {
            request,
            notes,
            cancel,
        })
    }

    fn check_memory(&self, pipeline: &dyn ImagePipeline, request: &DrawRequest) -> Result<()> {
        let needed = pipeline.memory(std::slice::from_ref(request));
        match self.shared.config.memory {
            Some(budget) if needed > budget => Err(ModelError::Request {
                field: "width",
                reason: format!(
                    "{}×{} pixels need about {} MiB to draw and {} MiB may be taken: ask for a smaller picture, or raise the budget",
                    request.width,
                    request.height,
                    needed >> 20,
                    budget >> 20
                ),
            }),
            _ => Ok(()),
        }
    }

    /// When a request that is refused as busy may be tried again: the steps that wait and
    /// those of the batch under way, in batches as full as may be, by the seconds that a
    /// step took of late.
    pub fn retry_after(&self) -> Duration {
        let state = self.shared.lock();
        let batch = self.shared.config.batch.max(1);
        let steps = state.queue.steps().div_ceil(batch) + state.drawing_steps;
        let seconds = state.metrics.seconds_a_step * steps as f64;
        Duration::from_secs_f64(seconds.clamp(1.0, 600.0))
    }

    /// Puts the model away until the next request. False while it draws.
    pub fn unload(&self) -> bool {
        let mut state = self.shared.lock();
        if state.metrics.drawing > 0 || state.queue.len() > 0 {
            return false;
        }
        state.pipeline = None;
        true
    }

    /// What it is doing.
    pub fn metrics(&self) -> StudioMetrics {
        let state = self.shared.lock();
        StudioMetrics {
            waiting: state.queue.len(),
            loaded: state.pipeline.is_some(),
            ..state.metrics
        }
    }
}
