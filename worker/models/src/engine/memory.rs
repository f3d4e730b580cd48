//! How much memory is free.

use std::fs;

use crate::device::Device;

/// Of the free memory, what keys and values may take.
const SHARE: (u64, u64) = (1, 2);
/// Where the system does not say.
const UNKNOWN: u64 = 1 << 30;

/// The default budget, bytes: half of what is free now.
pub fn default_budget() -> usize {
    share(free_memory().unwrap_or(UNKNOWN))
}

/// The default budget of a model that has its memory on `device`.
pub(super) fn budget_on(device: &Device) -> usize {
    free_on_gpu(device).map_or_else(default_budget, share)
}

fn share(free: u64) -> usize {
    usize::try_from(free / SHARE.1 * SHARE.0).unwrap_or(usize::MAX)
}

/// Bytes that are free now in the memory of the GPU that `device` is; nothing of others.
#[cfg(any(feature = "cuda", feature = "tch"))]
fn free_on_gpu(device: &Device) -> Option<u64> {
    use cudarc::driver::{CudaContext, sys};

    let number = crate::device::gpu_number(device)?;
    // Asked first: a library that is not there would be a panic.
    // SAFETY: only looks for the library.
    if !unsafe { sys::is_culib_present() } {
        return None;
    }
    let context = CudaContext::new(number).ok()?;
    let (free, _) = context.mem_get_info().ok()?;
    u64::try_from(free).ok()
}

#[cfg(not(any(feature = "cuda", feature = "tch")))]
fn free_on_gpu(_device: &Device) -> Option<u64> {
    None
}

/// Bytes that are free now, in the machine and in the control group of this process; nothing
/// where the system does not say.
pub fn free_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text));
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let group = match (number("memory.max"), number("memory.current")) {
        (Some(most), Some(used)) => Some(most.saturating_sub(used)),
        _ => None,
    };
    machine.into_iter().chain(group).min()
}

/// Bytes of `MemAvailable` in `/proc/meminfo`.
fn available(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_available_memory_is_read() {
        let text = "MemTotal:       24 kB\nMemAvailable:   10 kB\n";
        assert_eq!(available(text), Some(10_240));
        assert_eq!(available("MemTotal: 24 kB\n"), None);
        assert!(default_budget() > 0);
    }
}
