//! What resource limits do not bound, watched from outside: threads (the
//! kernel exempts root from the process limit) and the number of files in a
//! tmpfs (its size counts their contents alone).

use std::ffi::CString;
use std::time::Duration;

use super::bubblewrap::SCRATCH;

const INTERVAL: Duration = Duration::from_millis(50);

/// Returns when the process goes beyond a bound, and which; never otherwise.
pub(super) async fn watch(process: u32, threads: u64, files: u64) -> String {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if thread_count(process).is_some_and(|count| count > threads) {
            return format!("the program started more than {threads} threads");
        }
        for folder in SCRATCH {
            match file_count(process, folder) {
                Some(count) if count > files => {
                    return format!("the program made more than {files} files");
                }
                // A process that hides from us is stopped; one that has
                // ended is noticed by the reader of its answer.
                None if thread_count(process).is_some() => {
                    tokio::time::sleep(INTERVAL).await;
                    if thread_count(process).is_some() && file_count(process, folder).is_none() {
                        return "the program hid from its sandbox".to_owned();
                    }
                }
                _ => {}
            }
        }
    }
}

/// Threads of a live process; `None` when there is none.
fn thread_count(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    if status.lines().any(|line| line.starts_with("State:\tZ")) {
        return None;
    }
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))?;
    line.trim().parse().ok()
}

/// Inodes in use in the file system of `folder`, as `process` sees it.
fn file_count(process: u32, folder: &str) -> Option<u64> {
    let path = CString::new(format!("/proc/{process}/root{folder}")).ok()?;
    let mut facts = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a C string and `facts` has room for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), facts.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: statvfs returned 0, so it has filled `facts`.
    let facts = unsafe { facts.assume_init() };
    #[allow(clippy::useless_conversion, reason = "its width differs by system")]
    Some(u64::from(facts.f_files.saturating_sub(facts.f_ffree)))
}

/// The innermost process of a sandbox, as this machine numbers it. With
/// `--as-pid-1` bubblewrap has one child, the interpreter.
pub(super) fn innermost(bwrap: u32) -> Option<u32> {
    let mut process = bwrap;
    // Bounded: nothing here is more than a few levels deep.
    for _ in 0..4 {
        let path = format!("/proc/{process}/task/{process}/children");
        let children = std::fs::read_to_string(path).ok()?;
        match children.split_whitespace().next() {
            Some(child) => process = child.parse().ok()?,
            None => break,
        }
    }
    (process != bwrap).then_some(process)
}
