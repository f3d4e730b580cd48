//! Several servers of one kind: the least loaded serves, a dead one rests.

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

    /// Posts to the least loaded server, and to another when that one fails.
    pub(crate) async fn post<T: Serialize + Sync>(
        &self,
        path: &str,
        body: &T,
        timeout: Duration,
    ) -> Result<(Bytes, &Service), ToolError> {
        let mut tried = vec![false; self.servers.len()];
        let mut last = self.unreachable();
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
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn unreachable(&self) -> ToolError {
        match self.servers.first() {
            Some(server) => server.service.unreachable(),
            None => ToolError::permanent("backend_misconfigured", "no server is named"),
        }
    }

    /// The least loaded server that was not tried and does not rest; when all
    /// rest, one that answers a probe now.
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
            .filter(|(_, server)| !server.is_resting())
            .min_by_key(|(_, server)| server.in_flight.load(Ordering::SeqCst))
            .map(|(index, _)| index);
        if awake.is_some() {
            self.probe_due();
            return awake;
        }
        let probes = candidates.iter().filter_map(|index| {
            let server = Arc::clone(self.servers.get(*index)?);
            let rest = self.rest;
            Some(async move { server.probe(rest).await.then_some(*index) })
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
