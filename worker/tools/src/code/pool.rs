//! Sandboxes kept warm. Each serves one program; another is warmed up in its
//! place meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;

use super::bubblewrap::Recipe;
use super::python::Interpreter;
use super::sandbox::Sandbox;
use super::seccomp::Filters;
use super::spawner::Spawner;
use super::wire::{FilterPrograms, Limits, SetUp};
use super::{CodeConfig, Unavailable};
use crate::ToolError;

/// Makes sandboxes.
#[derive(Debug)]
struct Maker {
    spawner: Spawner,
    recipe: Recipe,
    sites: Vec<String>,
    filters: Filters,
    font_cache: BTreeMap<String, String>,
    config: CodeConfig,
}

#[derive(Debug)]
pub(super) struct Pool {
    maker: Arc<Maker>,
    /// The one that proved that sandboxes work here.
    first: StdMutex<Option<Sandbox>>,
    /// Absent when nothing is kept warm.
    warm: Option<Mutex<mpsc::Receiver<Sandbox>>>,
    idle: Arc<AtomicUsize>,
    fillers: Vec<AbortHandle>,
}

impl Pool {
    /// Makes a first sandbox, as the proof that they work here, then fills
    /// the pool in the background.
    pub async fn start(
        config: &CodeConfig,
        python: &Interpreter,
        recipe: Recipe,
        filters: Filters,
    ) -> Result<Self, Unavailable> {
        let spawner = Spawner::start()
            .map_err(|error| Unavailable::new(format!("no thread: {error}"), "raise the limit"))?;
        let mut maker = Maker {
            spawner,
            recipe,
            sites: python.sites.clone(),
            filters,
            font_cache: BTreeMap::new(),
            config: config.clone(),
        };
        let (first, font_cache) = maker.make().await.map_err(|reason| refused(&reason))?;
        maker.font_cache = font_cache;

        let maker = Arc::new(maker);
        let idle = Arc::new(AtomicUsize::new(1));
        let (warm, fillers) = match config.pool {
            0 => (None, Vec::new()),
            size => {
                let (sender, receiver) = mpsc::channel(size);
                let cores = std::thread::available_parallelism().map_or(2, usize::from);
                let fillers = (0..size.min((cores / 2).max(1))).map(|_| {
                    let work = fill(Arc::clone(&maker), sender.clone(), Arc::clone(&idle));
                    tokio::spawn(work).abort_handle()
                });
                (Some(Mutex::new(receiver)), fillers.collect())
            }
        };
        Ok(Self {
            maker,
            first: StdMutex::new(Some(first)),
            warm,
            idle,
            fillers,
        })
    }

    /// Sandboxes that wait for a program.
    pub fn idle(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }

    /// A live, warm sandbox.
    pub async fn take(&self) -> Result<Sandbox, ToolError> {
        let lost = |why: &str| {
            tracing::warn!(why, "no sandbox became ready");
            ToolError::transient("sandbox_lost", "no sandbox became ready for the program")
        };
        loop {
            let first = self
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let mut sandbox = match (first, &self.warm) {
                (Some(sandbox), _) => sandbox,
                (None, None) => {
                    let made = self.maker.make().await;
                    return made.map(|(sandbox, _)| sandbox).map_err(|why| lost(&why));
                }
                (None, Some(warm)) => {
                    let next = async { warm.lock().await.recv().await };
                    tokio::time::timeout(self.maker.config.warm_up, next)
                        .await
                        .ok()
                        .flatten()
                        .ok_or_else(|| lost("waited too long"))?
                }
            };
            self.idle.fetch_sub(1, Ordering::Relaxed);
            if sandbox.is_alive() {
                return Ok(sandbox);
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.fillers.iter().for_each(AbortHandle::abort);
    }
}

impl Maker {
    async fn make(&self) -> Result<(Sandbox, BTreeMap<String, String>), String> {
        let config = &self.config;
        let set_up = SetUp {
            sites: &self.sites,
            font_cache: &self.font_cache,
            limits: Limits {
                // A little above the wall clock's, which gives the better message.
                cpu_s: config.wall.as_secs() + 2,
                memory: config.memory_bytes,
                file: config.scratch_bytes,
                threads: config.threads,
                png: config.png_bytes,
                pixels: config.pixels,
                width: config.width,
            },
            filters: FilterPrograms {
                seccomp: self.filters.seccomp,
                programs: &self.filters.programs,
            },
        };
        let child = self.spawner.spawn(self.recipe.command()).await;
        let child = child.map_err(|error| format!("bubblewrap did not start: {error}"))?;
        Sandbox::warm_up(child, &set_up, config).await
    }
}

/// Keeps the channel full; waits with growing pauses while nothing starts.
async fn fill(maker: Arc<Maker>, sender: mpsc::Sender<Sandbox>, idle: Arc<AtomicUsize>) {
    let mut pause = Duration::from_millis(500);
    while let Ok(place) = sender.reserve().await {
        match maker.make().await {
            Ok((sandbox, _)) => {
                idle.fetch_add(1, Ordering::Relaxed);
                place.send(sandbox);
                pause = Duration::from_millis(500);
            }
            Err(reason) => {
                tracing::warn!(reason, "a sandbox did not warm up");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
    }
}

/// Why a sandbox cannot be made, with what usually helps.
fn refused(reason: &str) -> Unavailable {
    let namespaces = [
        "namespace",
        "Operation not permitted",
        "Permission denied",
        "uid map",
    ];
    let remedy = if namespaces.iter().any(|word| reason.contains(word)) {
        "allow user namespaces: `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, in Docker \
         `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`"
    } else {
        "make the Python environment again with `cargo xtask up`"
    };
    Unavailable::new(format!("a sandbox cannot be made here: {reason}"), remedy)
}
