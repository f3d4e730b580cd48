//! Requests that wait, in order of arrival.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::request::{DrawRequest, ImagePipeline};
use super::Sink;
use crate::generate::CancelFlag;

/// A request on its way.
pub(super) struct Job {
    pub(super) request: DrawRequest,
    pub(super) sink: Sink,
    pub(super) cancel: CancelFlag,
    pub(super) previews: bool,
    pub(super) last_preview: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Queue(VecDeque<Job>);

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Steps of all.
    pub(super) fn steps(&self) -> usize {
        self.0.iter().map(|job| job.request.steps).sum()
    }

    /// Bytes of the pictures that came with them.
    pub(super) fn picture_bytes(&self) -> u64 {
        self.0.iter().map(|job| picture_bytes(&job.request)).sum()
    }

    pub(super) fn push(&mut self, job: Job) {
        self.0.push_back(job);
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Job> {
        self.0.drain(..)
    }

    /// Takes those that nobody wants any more.
    pub(super) fn take_cancelled(&mut self) -> Vec<Job> {
        let (gone, rest) = self.0.drain(..).partition(|job| job.cancel.is_cancelled());
        self.0 = rest;
        Vec::from_iter::<VecDeque<Job>>(gone)
    }

    /// Takes the first and those that can be drawn with it, up to `most` and within
    /// `memory`; the others keep their order.
    pub(super) fn take_batch(
        &mut self,
        pipeline: &dyn ImagePipeline,
        most: usize,
        memory: Option<u64>,
    ) -> Vec<Job> {
        let Some(first) = self.0.pop_front() else {
            return Vec::new();
        };
        let mut requests = vec![first.request.clone()];
        let mut batch = vec![first];
        let mut rest = VecDeque::with_capacity(self.0.len());
        for job in self.0.drain(..) {
            let joins = batch.len() < most && pipeline.alike(&requests[0], &job.request);
            if joins {
                requests.push(job.request.clone());
                if memory.is_none_or(|budget| pipeline.memory(&requests) <= budget) {
                    batch.push(job);
                    continue;
                }
                requests.pop();
            }
            rest.push_back(job);
        }
        self.0 = rest;
        batch
    }
}

/// Bytes of the decoded pictures of a request.
pub(super) fn picture_bytes(request: &DrawRequest) -> u64 {
    let pictures = request.pictures.iter();
    pictures.map(|picture| picture.as_raw().len() as u64).sum()
}
