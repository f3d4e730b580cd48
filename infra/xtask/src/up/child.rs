//! A supervised process: started again with back-off when it dies.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How to start a process.
pub struct Recipe {
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub log: PathBuf,
}

pub struct Child {
    recipe: Recipe,
    process: std::process::Child,
    started: Instant,
    /// Deaths in a row within [`HEALTHY`] of their start.
    deaths: u32,
    restart_at: Option<Instant>,
}

/// A process that lived this long starts with a clean slate.
const HEALTHY: Duration = Duration::from_secs(30);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// Deaths in a row at start-up after which waiting is pointless.
const GIVE_UP_AFTER: u32 = 4;
/// Time to finish what is in hand.
const STOP_LIMIT: Duration = Duration::from_secs(20);

impl Child {
    pub fn start(recipe: Recipe) -> Result<Self> {
        let process = spawn(&recipe)?;
        Ok(Self {
            recipe,
            process,
            started: Instant::now(),
            deaths: 0,
            restart_at: None,
        })
    }

    /// Starts it again if it died and its back-off is over.
    pub fn keep_alive(&mut self) {
        if let Some(at) = self.restart_at {
            if Instant::now() >= at {
                self.restart();
            }
            return;
        }
        if let Ok(Some(status)) = self.process.try_wait() {
            self.deaths = if self.started.elapsed() > HEALTHY {
                1
            } else {
                self.deaths + 1
            };
            let pause = Duration::from_millis(250 << self.deaths.min(7)).min(LONGEST_BACKOFF);
            eprintln!(
                "{} died ({status}); starting it again in {pause:?}",
                self.recipe.name
            );
            self.restart_at = Some(Instant::now() + pause);
        }
    }

    fn restart(&mut self) {
        match spawn(&self.recipe) {
            Ok(process) => {
                self.process = process;
                self.started = Instant::now();
                self.restart_at = None;
            }
            Err(error) => {
                eprintln!("{error:#}");
                self.restart_at = Some(Instant::now() + LONGEST_BACKOFF);
            }
        }
    }

    /// Its name, if it keeps dying at once.
    pub fn failed_for_good(&mut self) -> Option<String> {
        (self.deaths >= GIVE_UP_AFTER).then(|| self.recipe.name.clone())
    }

    /// Asks it to end, then ends it.
    pub fn stop(mut self) {
        let deadline = Instant::now() + STOP_LIMIT;
        let pid = self.process.id().to_string();
        let _ = Command::new("kill")
            .args(["-TERM", &pid])
            .stderr(Stdio::null())
            .status();
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        eprintln!(
            "{} did not stop in {STOP_LIMIT:?}; ending it",
            self.recipe.name
        );
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(recipe: &Recipe) -> Result<std::process::Child> {
    use std::os::unix::process::CommandExt;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&recipe.log)?;
    Command::new(&recipe.program)
        .args(&recipe.arguments)
        .envs(recipe.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C reaches the terminal's whole group; the order of stopping is ours.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", recipe.program.display()))
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
