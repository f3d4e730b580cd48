//! The apalis backend: hands deliveries from the fetcher to apalis.
//!
//! It never answers an error, which would end the worker and drop what runs;
//! the fetcher deals with Redis' absence. When the fetcher has stopped and all
//! that it took was handed out, the backend says so, and only then may apalis be
//! told to shut down: it asks for nothing more after that.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use apalis::prelude::{Backend, Task, TaskBuilder, WorkerContext};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::delivery::Delivery;
use super::layer::AcknowledgeLayer;

/// Jobs of one pool. Clones share the same source, so that apalis may start a
/// worker again.
#[derive(Clone, Debug)]
pub(crate) struct RedisBackend {
    source: Arc<Mutex<mpsc::Receiver<Delivery>>>,
    layer: AcknowledgeLayer,
    exhausted: CancellationToken,
}

impl RedisBackend {
    pub(crate) fn new(
        source: mpsc::Receiver<Delivery>,
        layer: AcknowledgeLayer,
        exhausted: CancellationToken,
    ) -> Self {
        Self {
            exhausted,
            source: Arc::new(Mutex::new(source)),
            layer,
        }
    }
}

impl Backend for RedisBackend {
    type Task = Task<Delivery>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.poll_recv(cx).map(|delivery| {
            if delivery.is_none() {
                self.exhausted.cancel();
            }
            delivery.map(|delivery| Ok(TaskBuilder::new(delivery).build()))
        })
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl apalis_core::backend::BackendConfig for RedisBackend {
    type Args = Delivery;
    type Id = String;
    /// What is handed out is decoded already.
    type Kind = apalis_core::backend::finalize::Ephemeral;
    type Config = ();
    type Layer = AcknowledgeLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> AcknowledgeLayer {
        self.layer.clone()
    }
}
