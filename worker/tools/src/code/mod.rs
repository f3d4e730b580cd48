//! `code`: charts drawn by Python programs that a model wrote.
//!
//! ```text
//!  CodeTool ── Pool of warm Sandboxes ── bubblewrap ── CPython: runner.py
//!                 one program each         walls        limits, seccomp
//! ```
//!
//! A program is untrusted. It runs alone in a sandbox made for it: no network,
//! no host files beyond libraries and fonts, no `/proc`, an empty environment,
//! no new process, bounded memory, time, disk, threads and output; then the
//! sandbox is destroyed. Where no sandbox can be made the tool is unavailable;
//! nothing ever runs outside of one.
//!
//! | file | subject |
//! |---|---|
//! | `python` | where the interpreter and its libraries lie |
//! | `bubblewrap` | namespaces and mounts |
//! | `seccomp` | system calls |
//! | `runner.py` | inside: imports, closes the doors, draws, says what failed |
//! | `sandbox`, `wire`, `printed`, `watch` | one sandbox, from outside |
//! | `pool`, `spawner` | sandboxes kept warm |
//! | `picture` | the PNG, checked |

mod bubblewrap;
mod config;
mod picture;
mod pool;
mod printed;
mod python;
mod sandbox;
mod seccomp;
mod spawner;
mod watch;
mod wire;

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;
use illumine_types::ToolKind;
use illumine_types::capability::ToolCapability;
use illumine_types::document::Provenance;
use illumine_types::tool::ToolRequest;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::config::CodeConfig;

use self::pool::Pool;
use self::sandbox::Failure;
use self::wire::Order;
use crate::{Advance, ImageTool, ToolContext, ToolError, ToolImage};

const BACKEND: &str = "sandbox";
/// Programs are run again when their sandbox was lost, not their fault.
const ATTEMPTS: u32 = 2;

/// Why the tool cannot run here, and what would help.
#[derive(Clone, Debug)]
struct Unavailable {
    reason: String,
    remedy: String,
}

impl Unavailable {
    fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn not_linux() -> Self {
        Self::new(
            "programs run in Linux namespaces only",
            "run a worker on Linux, for instance in a container",
        )
    }
}

/// The code tool. See the module.
#[derive(Debug)]
pub struct CodeTool {
    config: CodeConfig,
    workshop: Result<Workshop, Unavailable>,
    slots: Semaphore,
}

#[derive(Debug)]
struct Workshop {
    pool: Pool,
    versions: BTreeMap<String, String>,
}

impl CodeTool {
    /// Proves with a real sandbox whether programs can run here (a second or
    /// two), then warms up others in the background. Needs a tokio runtime;
    /// the sandboxes end with the tool.
    pub async fn start(config: CodeConfig) -> Self {
        let workshop = Workshop::open(&config).await;
        if let Err(missing) = &workshop {
            tracing::warn!(
                reason = missing.reason,
                remedy = missing.remedy,
                "no code tool"
            );
        }
        Self {
            slots: Semaphore::new(config.concurrency.max(1)),
            config,
            workshop,
        }
    }

    /// Sandboxes that are warm and wait for a program.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.workshop
            .as_ref()
            .map_or(0, |workshop| workshop.pool.idle())
    }

    async fn draw(
        &self,
        workshop: &Workshop,
        order: &Order<'_>,
        cancel: &CancellationToken,
    ) -> Result<(Vec<u8>, u32), ToolError> {
        let mut attempt = 1;
        loop {
            let sandbox = tokio::select! {
                () = cancel.cancelled() => return Err(ToolError::Cancelled),
                sandbox = workshop.pool.take() => sandbox?,
            };
            match sandbox.draw(order, &self.config, cancel).await {
                Ok(png) => return Ok((png, attempt)),
                Err(Failure::Tool(error)) if !error.is_transient() => return Err(error),
                Err(Failure::Tool(error)) if attempt >= ATTEMPTS => return Err(error),
                Err(Failure::NotStarted) if attempt >= ATTEMPTS => {
                    return Err(ToolError::transient("sandbox_lost", "the sandbox was lost"));
                }
                Err(_) => attempt += 1,
            }
        }
    }
}

impl Workshop {
    async fn open(config: &CodeConfig) -> Result<Self, Unavailable> {
        let filters = seccomp::filters()?;
        let python = python::Interpreter::discover(&config.python).await?;
        let recipe = bubblewrap::Recipe::new(config, &python).await?;
        let pool = Pool::start(config, &python, recipe, filters).await?;
        Ok(Self {
            pool,
            versions: python.versions,
        })
    }
}

#[async_trait]
impl ImageTool for CodeTool {
    fn kind(&self) -> ToolKind {
        ToolKind::Code
    }

    fn capability(&self) -> ToolCapability {
        let missing = self.workshop.as_ref().err();
        ToolCapability {
            tool: ToolKind::Code,
            available: missing.is_none(),
            backends: match missing {
                None => vec![BACKEND.to_owned()],
                Some(_) => Vec::new(),
            },
            reason: missing.map(|missing| missing.reason.clone()),
            remedy: missing.map(|missing| missing.remedy.clone()),
        }
    }

    async fn run(
        &self,
        request: &ToolRequest,
        context: &ToolContext,
    ) -> Result<ToolImage, ToolError> {
        let ToolRequest::Code { code } = request else {
            return Err(ToolError::permanent("invalid_request", "not a program"));
        };
        let workshop = self
            .workshop
            .as_ref()
            .map_err(|missing| ToolError::Unavailable {
                message: format!("{}; {}", missing.reason, missing.remedy),
            })?;
        let program = unfenced(code);
        let most = self.config.program_bytes;
        if program.len() > most {
            return Err(ToolError::permanent(
                "program_too_large",
                format!("the program has {} bytes, above {most}", program.len()),
            ));
        }

        let cancel = &context.cancel;
        let _slot = tokio::select! {
            () = cancel.cancelled() => return Err(ToolError::Cancelled),
            slot = self.slots.acquire() => slot.map_err(|_| ToolError::Cancelled)?,
        };
        let started = Instant::now();
        // A fixed seed when none is given: the same program, the same picture.
        let seed = context.options.seed.unwrap_or(0);
        let (png, attempts) = self
            .draw(workshop, &Order { program, seed }, cancel)
            .await?;
        let picture = picture::check(png, &self.config).await?;
        (context.progress)(Advance::share(1.0));
        let versions = workshop.versions.iter();
        Ok(ToolImage {
            picture,
            provenance: Provenance {
                tool: ToolKind::Code,
                backend: BACKEND.to_owned(),
                model: None,
                seed: Some(seed),
                parameters: versions
                    .map(|(name, version)| (name.clone(), version.clone().into()))
                    .collect(),
                source: None,
                program: Some(program.to_owned()),
                parent: None,
                elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                attempts,
            },
        })
    }
}

/// The program without the Markdown fence that models put around it.
fn unfenced(code: &str) -> &str {
    let inner = code.trim();
    let Some(inner) = inner
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
    else {
        return code;
    };
    match inner.split_once('\n') {
        Some((language, program)) if language.trim().chars().all(char::is_alphanumeric) => program,
        _ => code,
    }
}

/// At most `most` characters, without control characters other than newlines.
fn plain(text: &str, most: usize) -> String {
    let shown = |c: &char| *c == '\n' || !c.is_control();
    text.replace('\t', "    ")
        .chars()
        .filter(shown)
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_taken_off_and_nothing_else() {
        assert_eq!(unfenced("```python\nplt.plot([1])\n```"), "plt.plot([1])\n");
        assert_eq!(unfenced("```\nx = 1\n```\n"), "x = 1\n");
        assert_eq!(unfenced("x = '```'"), "x = '```'");
        assert_eq!(unfenced("``` ```"), "``` ```");
    }

    #[test]
    fn messages_carry_no_terminal_sequences() {
        assert_eq!(plain("a\x1b[31mb\nc\u{0}", 100), "a[31mb\nc");
        assert_eq!(plain("ééé", 2), "éé");
    }
}
