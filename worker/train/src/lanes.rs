//! Micro-batches side by side on a CPU: small products are faster one a core than each cut
//! into pieces for all cores.

use burn::tensor::Device;
use rayon::ThreadPool;

/// More of them hold more activations at a time than they are worth.
const MOST: usize = 8;

/// Places where work is done at the same time, each with a thread of its own. None on a
/// device that does not gain from it: work is then done by the caller, one after the other.
#[derive(Debug, Default)]
pub struct Lanes(Vec<ThreadPool>);

impl Lanes {
    /// One a core on the `flex` device.
    pub fn of(device: &Device) -> Self {
        Self::shared(device, 1)
    }

    /// The same where so many processes share the cores.
    pub fn shared(device: &Device, processes: usize) -> Self {
        let number = Self::number(device, processes);
        if number < 2 {
            return Self::default();
        }
        let single = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools: Result<_, _> = (0..number).map(single).collect();
        // Slower, and the same results.
        pools.map_or_else(|_| Self::default(), Self)
    }

    /// How many [`Self::shared`] makes.
    pub fn number(device: &Device, processes: usize) -> usize {
        match *device == Device::flex() {
            true => cores(processes).min(MOST),
            false => 1,
        }
    }

    /// How many pieces of work go on at a time, at least 1.
    pub fn count(&self) -> usize {
        self.0.len().max(1)
    }

    /// Does `work` on each of at most [`Self::count`] items at the same time; results are in
    /// the order of the items, which more items than that extend, one after the other.
    pub fn map<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(usize, &T) -> R + Sync,
    ) -> Vec<R> {
        let mut results = Vec::with_capacity(items.len());
        for round in items.chunks(self.count()) {
            if round.len() == 1 || self.0.is_empty() {
                results.extend(round.iter().map(|item| work(0, item)));
                continue;
            }
            std::thread::scope(|scope| {
                let running: Vec<_> = round
                    .iter()
                    .zip(&self.0)
                    .enumerate()
                    .map(|(lane, (item, pool))| {
                        let work = &work;
                        scope.spawn(move || pool.install(|| work(lane, item)))
                    })
                    .collect();
                for thread in running {
                    match thread.join() {
                        Ok(result) => results.push(result),
                        // As if it had been done here.
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
            });
        }
        results
    }
}

/// Of this machine, for each of so many processes.
fn cores(processes: usize) -> usize {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    (all / processes.max(1)).max(1)
}

/// Lets this process compute on its share of the cores, as one of so many. Before anything
/// was computed, or it has no effect.
pub fn share_cores(processes: usize) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores(processes));
    // There is one already: slower, and the same results.
    let _ = pool.build_global();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_lanes_are_apart() {
        let shared = Lanes::shared(&Device::flex(), 1 << 20);
        assert_eq!(shared.count(), 1);
        for lanes in [Lanes::default(), shared, Lanes::of(&Device::flex())] {
            let items: Vec<usize> = (0..7).collect();
            let results = lanes.map(&items, |lane, item| (lane, item * 2));
            let values: Vec<_> = results.iter().map(|(_, value)| *value).collect();
            assert_eq!(values, [0, 2, 4, 6, 8, 10, 12]);
            assert!(results.iter().all(|(lane, _)| *lane < lanes.count()));
        }
    }
}
