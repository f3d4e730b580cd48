//! One sandbox: warmed up, given one program, and gone.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use tokio::io::BufReader;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;

use super::printed::Printed;
use super::watch::{innermost, watch};
use super::wire::{self, Answer, Order, SetUp};
use super::{CodeConfig, plain};
use crate::ToolError;

/// Reads the set-up, then programs: see the file.
const RUNNER: &str = include_str!("runner.py");

/// A warm interpreter that waits for its program.
#[derive(Debug)]
pub(super) struct Sandbox {
    child: Child,
    /// The interpreter's process, as this machine numbers it.
    process: u32,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
    printed: Printed,
}

/// How a program's time in its sandbox ended.
enum End {
    Answered(io::Result<Reply>),
    Cancelled,
    TimedOut,
    Flooded,
    Stopped(String),
}

enum Reply {
    Png(Vec<u8>),
    Error { code: String, message: String },
}

/// A sandbox that gave no picture.
pub(super) enum Failure {
    /// It had died before it took the program: another may be tried at once.
    NotStarted,
    Tool(ToolError),
}

impl Sandbox {
    /// Waits until the libraries are imported and the doors closed; also
    /// returns matplotlib's font list when `set_up` brought none.
    pub async fn warm_up(
        mut child: Child,
        set_up: &SetUp<'_>,
        config: &CodeConfig,
    ) -> Result<(Self, BTreeMap<String, String>), String> {
        let (Some(mut input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("the sandbox has no pipes".to_owned());
        };
        let printed = Printed::read(errors, config.printed_bytes);
        let mut answers = BufReader::new(output);
        let exchange = async {
            wire::send(&mut input, RUNNER.as_bytes()).await?;
            wire::send_json(&mut input, set_up).await?;
            wire::answer(&mut answers).await
        };
        let answer = tokio::time::timeout(config.warm_up, exchange).await;
        let process = child.id().and_then(innermost);
        match (answer, process) {
            (Ok(Ok(Answer::Ready { font_cache })), Some(process)) => {
                let sandbox = Self {
                    child,
                    process,
                    input,
                    answers,
                    printed,
                };
                Ok((sandbox, font_cache))
            }
            (Err(_), _) => Err(format!("it was not ready after {:?}", config.warm_up)),
            _ => {
                let said = printed.last_lines().await;
                Err(if said.is_empty() {
                    "it ended before it was ready".to_owned()
                } else {
                    said
                })
            }
        }
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Runs the program and returns the PNG, unchecked.
    pub async fn draw(
        mut self,
        order: &Order<'_>,
        config: &CodeConfig,
        cancel: &CancellationToken,
    ) -> Result<Vec<u8>, Failure> {
        let started = Instant::now();
        if wire::send_json(&mut self.input, order).await.is_err() {
            return Err(Failure::NotStarted);
        }
        let end = tokio::select! {
            biased;
            () = cancel.cancelled() => End::Cancelled,
            reply = reply(&mut self.answers, config.png_bytes) => End::Answered(reply),
            () = tokio::time::sleep(config.wall) => End::TimedOut,
            () = self.printed.flooded() => End::Flooded,
            why = watch(self.process, config.threads, config.files) => End::Stopped(why),
        };
        let error = match end {
            End::Answered(Ok(Reply::Png(png))) => {
                self.end();
                return Ok(png);
            }
            End::Answered(Ok(Reply::Error { code, message })) => stated(&code, &message),
            End::Answered(Err(error)) => {
                return Err(Failure::Tool(
                    self.unanswered(&error, started, config).await,
                ));
            }
            End::Cancelled => ToolError::Cancelled,
            End::TimedOut => timed_out(config.wall),
            End::Flooded => ToolError::permanent(
                "output_too_large",
                format!(
                    "the program printed more than {} bytes",
                    config.printed_bytes
                ),
            ),
            End::Stopped(why) => ToolError::permanent("python_error", why),
        };
        self.end();
        Err(Failure::Tool(error))
    }

    /// Kills, and waits in the background: taking the mounts down takes long.
    fn end(mut self) {
        self.kill();
        tokio::spawn(async move { self.status().await });
    }

    /// Ends every process: the kernel ends a namespace with its first one.
    fn kill(&self) {
        if let Some(group) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // SAFETY: plain system call. The child is not yet waited for, so
            // its number, which is its group's, is still its own.
            unsafe { libc::killpg(group, libc::SIGKILL) };
        }
    }

    /// Waits for the end, so that no zombie is left: the exit code, or 128 and
    /// the signal.
    async fn status(&mut self) -> Option<i32> {
        let wait = tokio::time::timeout(Duration::from_secs(2), self.child.wait());
        let status = wait.await.ok()?.ok()?;
        use std::os::unix::process::ExitStatusExt as _;
        status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
    }

    /// The channel closed, or carried no answer: the interpreter itself ended.
    async fn unanswered(
        mut self,
        error: &io::Error,
        started: Instant,
        config: &CodeConfig,
    ) -> ToolError {
        let status = if error.kind() == io::ErrorKind::UnexpectedEof {
            self.status().await
        } else {
            None
        };
        self.kill();
        let said = self.printed.last_lines().await;
        let starved = [
            "MemoryError",
            "bad_alloc",
            "llocation failed",
            "out of memory",
        ];
        match status {
            _ if starved.iter().any(|sign| said.contains(sign)) => ToolError::permanent(
                "out_of_memory",
                "the program needs more memory than it may have",
            ),
            // The limit on CPU time ends with this signal.
            Some(KILLED) if started.elapsed() > config.wall / 4 => timed_out(config.wall),
            Some(KILLED) | None => {
                ToolError::transient("sandbox_lost", "the sandbox ended before the program did")
            }
            Some(status) => {
                let how = match status {
                    129..=192 => format!("it crashed with signal {}", status - 128),
                    _ => format!("it ended the interpreter with status {status}"),
                };
                let said = if said.is_empty() {
                    said
                } else {
                    format!("\n{said}")
                };
                ToolError::permanent(
                    "python_error",
                    format!("the program left no figure: {how}{said}"),
                )
            }
        }
    }
}

const KILLED: i32 = 128 + libc::SIGKILL;

async fn reply(from: &mut BufReader<ChildStdout>, png_bytes: u64) -> io::Result<Reply> {
    match wire::answer(from).await? {
        Answer::Drawn { bytes } if bytes <= png_bytes => {
            Ok(Reply::Png(wire::exactly(from, bytes).await?))
        }
        Answer::Error { code, message } => Ok(Reply::Error { code, message }),
        Answer::Drawn { .. } | Answer::Ready { .. } => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The runner's own error. Its words are the program's: untrusted.
fn stated(code: &str, message: &str) -> ToolError {
    let known = ["no_figure", "out_of_memory", "output_too_large"];
    let code = known.into_iter().find(|known| *known == code);
    ToolError::permanent(code.unwrap_or("python_error"), plain(message, 1500))
}

fn timed_out(wall: Duration) -> ToolError {
    ToolError::permanent(
        "tool_timeout",
        format!(
            "the program was still running after {} s",
            wall.as_secs_f32()
        ),
    )
}
