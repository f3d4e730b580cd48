//! The drawing thread.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use image::RgbImage;

use super::super::request::{DrawRequest, DrawWatch, ImagePipeline};
use super::queue::Job;
use super::{Shared, StudioEvent, guarded};
use crate::error::ModelError;

/// Draws until the last handle is gone.
pub(super) fn run(shared: &Shared) {
    while let Some(woken) = wait(shared) {
        if let Woken::Idle = woken {
            tracing::info!(
                model = shared.info.name,
                "idle: the picture model is put away"
            );
            shared.lock().pipeline = None;
            continue;
        }
        let pipeline = match shared.pipeline() {
            Ok(pipeline) => pipeline,
            Err(error) => {
                let jobs: Vec<Job> = shared.lock().queue.drain().collect();
                fail(shared, jobs, &error);
                continue;
            }
        };
        let batch = {
            let mut state = shared.lock();
            let cancelled = state.queue.take_cancelled();
            let config = &shared.config;
            let batch = state
                .queue
                .take_batch(&*pipeline, config.batch.max(1), config.memory);
            state.metrics.cancelled_total += cancelled.len() as u64;
            state.metrics.drawing = batch.len();
            state.drawing_steps = batch.first().map_or(0, |job| job.request.steps);
            drop(state);
            for mut job in cancelled {
                let _ = (job.sink)(StudioEvent::Cancelled);
            }
            batch
        };
        if !batch.is_empty() {
            draw(shared, &*pipeline, batch);
        }
        let mut state = shared.lock();
        state.metrics.drawing = 0;
        state.drawing_steps = 0;
        state.last_used = Instant::now();
    }
    let jobs: Vec<Job> = shared.lock().queue.drain().collect();
    fail(shared, jobs, &engine("the studio has closed"));
}

enum Woken {
    Work,
    Idle,
}

/// Waits for work, or for the idle time to pass; none when the studio has closed.
fn wait(shared: &Shared) -> Option<Woken> {
    let mut state = shared.lock();
    loop {
        if state.closed {
            return None;
        }
        if state.queue.len() > 0 {
            return Some(Woken::Work);
        }
        let left = match (shared.config.idle, &state.pipeline) {
            (Some(idle), Some(_)) => {
                let left = idle.saturating_sub(state.last_used.elapsed());
                if left.is_zero() {
                    return Some(Woken::Idle);
                }
                left
            }
            _ => Duration::from_secs(3600),
        };
        let waited = shared.changed.wait_timeout(state, left);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn draw(shared: &Shared, pipeline: &dyn ImagePipeline, mut batch: Vec<Job>) {
    for job in &mut batch {
        if (job.sink)(StudioEvent::Started).is_break() {
            job.cancel.cancel();
        }
    }
    let requests: Vec<DrawRequest> = batch.iter().map(|job| job.request.clone()).collect();
    let begun = Instant::now();
    let mut watch = Watch {
        jobs: &mut batch,
        preview_every: shared.config.preview_every,
        done: 0,
    };
    let drawn = guarded(|| pipeline.draw(&requests, &mut watch));
    let done = watch.done;
    if let Ok(Ok(_)) = drawn {
        let seconds = begun.elapsed().as_secs_f64();
        shared.lock().metrics.took(seconds, done);
    }
    match drawn {
        Ok(Ok(pictures)) if pictures.len() == batch.len() => {
            for (mut job, picture) in batch.into_iter().zip(pictures) {
                let mut state = shared.lock();
                // Whoever hears the end must not find the picture still being drawn.
                state.metrics.drawing = state.metrics.drawing.saturating_sub(1);
                let event = match picture {
                    Some(picture) => {
                        state.metrics.drawn_total += 1;
                        StudioEvent::Finished(Box::new(picture))
                    }
                    None => {
                        state.metrics.cancelled_total += 1;
                        StudioEvent::Cancelled
                    }
                };
                drop(state);
                let _ = (job.sink)(event);
            }
        }
        Ok(Ok(_)) => {
            let reason = "the model drew another number of pictures";
            fail(shared, batch, &engine(reason));
        }
        Ok(Err(error)) => fail(shared, batch, &error),
        Err(reason) => {
            let reason = format!("the model panicked: {reason}");
            tracing::error!(model = shared.info.name, reason);
            // Nobody knows what state it left behind.
            shared.lock().pipeline = None;
            fail(shared, batch, &engine(&reason));
        }
    }
}

fn engine(reason: &str) -> ModelError {
    ModelError::Engine(reason.to_owned())
}

/// The same for another that waits; what the asker can mend stays told as such.
fn again(error: &ModelError) -> ModelError {
    match error {
        ModelError::Request { field, reason } => ModelError::Request {
            field,
            reason: reason.clone(),
        },
        other => engine(&other.to_string()),
    }
}

fn fail(shared: &Shared, jobs: Vec<Job>, error: &ModelError) {
    let mut state = shared.lock();
    state.metrics.failed_total += jobs.len() as u64;
    state.metrics.drawing = state.metrics.drawing.saturating_sub(jobs.len());
    drop(state);
    for mut job in jobs {
        let _ = (job.sink)(StudioEvent::Failed(again(error)));
    }
}

/// Passes steps on to those who asked.
struct Watch<'j> {
    jobs: &'j mut [Job],
    preview_every: Duration,
    /// Steps done.
    done: usize,
}

impl DrawWatch for Watch<'_> {
    fn cancelled(&self, item: usize) -> bool {
        let job = self.jobs.get(item);
        job.is_none_or(|job| job.cancel.is_cancelled())
    }

    fn stepped(
        &mut self,
        item: usize,
        step: usize,
        steps: usize,
        preview: &dyn Fn() -> Option<RgbImage>,
    ) {
        self.done = self.done.max(step);
        let Some(job) = self.jobs.get_mut(item) else {
            return;
        };
        let due = job
            .last_preview
            .is_none_or(|last| last.elapsed() >= self.preview_every);
        // The last step's picture is the picture itself.
        let preview = match job.previews && due && step < steps {
            true => {
                job.last_preview = Some(Instant::now());
                preview()
            }
            false => None,
        };
        let event = StudioEvent::Step {
            step,
            steps,
            preview,
        };
        if (job.sink)(event).is_break() {
            job.cancel.cancel();
        }
    }
}
