//! Several servers of one kind: the least loaded serves, a dead one rests, and one
//! that says when it can be asked again is left alone until then.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use reqwest::Method;
use serde::Serialize;

use super::Service;
use crate::ToolError;

const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
const LONGEST_REST: Duration = Duration::from_secs(300);
/// What a busy server may ask for.
const LONGEST_BUSY: Duration = Duration::from_secs(600);
/// The code of a server's refusal for now.
const BUSY: &str = "backend_busy";

/// Servers with the same contract.
#[derive(Debug)]
pub(crate) struct Pool {
    servers: Vec<Arc<Server>>,
    /// How long a server that failed rests at first; doubles.
    rest: Duration,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Server {
    service: Service,
    in_flight: AtomicUsize,
    probing: AtomicBool,
    resting: Mutex<Option<Rest>>,
    /// When a full server can be asked again, by its own words.
    busy: Mutex<Option<Instant>>,
}

/// A server that failed, until a probe of `/health` finds it alive.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    length: Duration,
}

/// Counts a request as long as it lives, however it ends.
struct Load<'a>(&'a AtomicUsize);

impl<'a> Load<'a> {
    fn on(server: &'a Server) -> Self {
        server.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(&server.in_flight)
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One probe of a server at a time, however it ends.
struct Probing<'a>(&'a AtomicBool);

impl Drop for Probing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Server {
    fn rest(&self) -> MutexGuard<'_, Option<Rest>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_resting(&self) -> bool {
        self.rest().is_some()
    }

    fn be_busy(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_BUSY);
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// For how long it is busy yet.
    fn busy_for(&self) -> Option<Duration> {
        let until = *self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        until?
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// Whether it may be asked now.
    fn is_awake(&self) -> bool {
        !self.is_resting() && self.busy_for().is_none()
    }

    fn is_due(&self) -> bool {
        self.rest().is_some_and(|rest| rest.until <= Instant::now())
    }

    fn send_to_rest(&self, first: Duration) {
        let mut rest = self.rest();
        let length = rest.map_or(first, |rest| (rest.length * 2).min(LONGEST_REST));
        tracing::warn!(server = %illumine_guard::redact(self.service.base()), rest_s = length.as_secs(), "server rests");
        *rest = Some(Rest {
            until: Instant::now() + length,
            length,
        });
    }

    /// Asks `/health`; alive ends the rest, dead prolongs it.
    async fn probe(&self, first: Duration) -> bool {
        if self.probing.swap(true, Ordering::SeqCst) {
            return false;
        }
        let _probing = Probing(&self.probing);
        let request = self.service.request(Method::GET, "/health");
        let answer = self.service.send(request.timeout(PROBE_TIMEOUT)).await;
        let alive = answer.is_ok();
        if alive {
            *self.rest() = None;
        } else {
            self.send_to_rest(first);
        }
        alive
    }
}

impl Pool {
    pub(crate) fn new(services: Vec<Service>, rest: Duration) -> Self {
        let server = |service| {
            Arc::new(Server {
                service,
                in_flight: AtomicUsize::new(0),
                probing: AtomicBool::new(false),
                resting: Mutex::new(None),
                busy: Mutex::new(None),
            })
        };
        Self {
            servers: services.into_iter().map(server).collect(),
            rest,
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Posts to the least loaded server, and to another when that one fails or is busy.
    /// When all are busy, the error says when the first of them is free.
    pub(crate) async fn post<T: Serialize + Sync>(
        &self,
        path: &str,
        body: &T,
        timeout: Duration,
    ) -> Result<(Bytes, &Service), ToolError> {
        let mut tried = vec![false; self.servers.len()];
        let mut failure: Option<ToolError> = None;
        while let Some(index) = self.choose(&tried).await {
            if let Some(tried) = tried.get_mut(index) {
                *tried = true;
            }
            let Some(server) = self.servers.get(index) else {
                break;
            };
            let _load = Load::on(server);
            let request = server.service.authorised(Method::POST, path);
            let request = request.timeout(timeout).json(body);
            match server.service.send(request).await {
                Ok(answer) => return Ok((answer, &server.service)),
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => {
                    if matches!(error.code(), "backend_unreachable" | "backend_timeout") {
                        server.send_to_rest(self.rest);
                    }
                    if let ToolError::Transient {
                        retry_after: Some(wait),
                        ..
                    } = error
                    {
                        server.be_busy(wait);
                    }
                    // One that is busy says more than one that is gone.
                    let told = failure.as_ref().is_some_and(|told| told.code() == BUSY);
                    if !told || error.code() == BUSY {
                        failure = Some(error);
                    }
                }
            }
        }
        Err(self.verdict(failure))
    }

    /// What to tell when no server served: when the first of the busy ones is free,
    /// those counted that were not even asked.
    fn verdict(&self, failure: Option<ToolError>) -> ToolError {
        let answering = self.servers.iter().filter(|server| !server.is_resting());
        let Some(soonest) = answering.filter_map(|server| server.busy_for()).min() else {
            return failure.unwrap_or_else(|| self.unreachable());
        };
        let message = match failure {
            Some(failure) if failure.code() == BUSY => failure.to_string(),
            _ => "every Qwen server that answers is busy".to_owned(),
        };
        ToolError::Transient {
            code: BUSY,
            message,
            retry_after: Some(soonest),
        }
    }

    fn unreachable(&self) -> ToolError {
        match self.servers.first() {
            Some(server) => server.service.unreachable(),
            None => ToolError::permanent("backend_misconfigured", "no server is named"),
        }
    }

    /// The least loaded server that was not tried, is not busy and does not rest; when
    /// there is none, one of the resting that answers a probe now.
    async fn choose(&self, tried: &[bool]) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.servers.len();
        let untried = |index: &usize| tried.get(*index) == Some(&false);
        let candidates: Vec<usize> = (0..count)
            .map(|offset| (turn + offset) % count)
            .filter(untried)
            .collect();
        let awake = candidates
            .iter()
            .filter_map(|index| Some((*index, self.servers.get(*index)?)))
            .filter(|(_, server)| server.is_awake())
            .min_by_key(|(_, server)| server.in_flight.load(Ordering::SeqCst))
            .map(|(index, _)| index);
        if awake.is_some() {
            self.probe_due();
            return awake;
        }
        let resting = candidates.iter().filter_map(|index| {
            let server = self.servers.get(*index)?;
            server.is_resting().then(|| (index, Arc::clone(server)))
        });
        let probes = resting.map(|(index, server)| {
            let rest = self.rest;
            async move { server.probe(rest).await.then_some(*index) }
        });
        join_all(probes).await.into_iter().flatten().next()
    }

    /// Looks after servers whose rest is over, beside the call.
    fn probe_due(&self) {
        for server in self.servers.iter().filter(|server| server.is_due()) {
            let (server, rest) = (Arc::clone(server), self.rest);
            tokio::spawn(async move { server.probe(rest).await });
        }
    }
}
