//! What the code tool may use.

use std::path::PathBuf;
use std::time::Duration;

/// Settings and limits of the code tool. The limits hold for one program.
#[derive(Clone, Debug)]
pub struct CodeConfig {
    /// Interpreter of a virtual environment that holds the packages of
    /// `requirements.txt`.
    pub python: PathBuf,
    /// `bwrap`; looked for in `PATH` when absent.
    pub bwrap: Option<PathBuf>,
    /// Sandboxes kept warm, each about 110 MB of memory and no CPU while it
    /// waits. 0 starts one when a program comes (about a second more).
    pub pool: usize,
    /// Programs that run at once.
    pub concurrency: usize,
    /// Time for a program and its drawing.
    pub wall: Duration,
    /// Time for a sandbox to import the libraries.
    pub warm_up: Duration,
    /// Address space of the interpreter, libraries included (they take
    /// about 250 MB).
    pub memory_bytes: u64,
    /// Size of `/tmp`, and again of `/dev/shm`.
    pub scratch_bytes: u64,
    /// Threads of a program.
    pub threads: u64,
    /// Files and folders a program may make.
    pub files: u64,
    /// What a program may print before it is stopped.
    pub printed_bytes: u64,
    /// The program's text.
    pub program_bytes: usize,
    /// The picture, encoded.
    pub png_bytes: u64,
    /// The picture's width times its height.
    pub pixels: u64,
    /// The width that a picture is drawn for, pixels.
    pub width: u32,
}

impl CodeConfig {
    #[must_use]
    pub fn new(python: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            python: python.into(),
            bwrap: None,
            pool: 2,
            concurrency: cores,
            wall: Duration::from_secs(20),
            warm_up: Duration::from_secs(60),
            memory_bytes: 1 << 30,
            scratch_bytes: 16 << 20,
            threads: 64,
            files: 4096,
            printed_bytes: 8 << 20,
            program_bytes: 256 << 10,
            png_bytes: 8 << 20,
            pixels: 8_000_000,
            width: 1200,
        }
    }
}
