//! The threads of a decode step.
//!
//! A step shares out a hundred products and more, each of which takes some tens of
//! microseconds. A thread pool made for large tasks hands work over in about as many: here
//! helpers stay awake while a step runs and take shares from one number in memory, within a
//! microsecond. One step at a time has them. What is shared out outside of a step, or in
//! another at the same time, goes to rayon's pool.

use std::any::Any;
use std::cell::Cell;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rayon::prelude::*;

/// Looks for work in a row before a thread lets others have its processor.
const LOOKS: u32 = 512;

/// How long helpers stay awake behind a step: the next one mostly follows at once.
const LINGER: Duration = Duration::from_micros(200);

/// Multiplications below which one thread is faster than several whose helpers are awake.
const LEAST_WORK: usize = 64 * 1024;

/// The one of this process, as large as rayon's pool; none where that has one thread.
static TEAM: LazyLock<Option<Team>> = LazyLock::new(|| Team::new(rayon::current_num_threads()));

thread_local! {
    /// Whether this thread is in [`during`].
    static LEADS: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` with the helpers awake, where they are free; what it shares out goes to them.
pub(super) fn during<R>(work: impl FnOnce() -> R) -> R {
    let lead = TEAM.as_ref().and_then(Team::lead);
    let result = work();
    drop(lead);
    result
}

/// Whether work that this thread shares out goes to helpers that are awake.
pub(super) fn is_awake() -> bool {
    LEADS.get()
}

/// Multiplications below which one thread is faster than several: `usual`, or, where the
/// helpers are awake, few.
pub(super) fn worth_while(usual: usize) -> usize {
    match is_awake() {
        true => usual.min(LEAST_WORK),
        false => usual,
    }
}

/// The threads among which [`each`] shares out.
pub(super) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Calls `share(i)` for every `i` below `count`, on several threads; returns after all.
///
/// # Panics
/// When a share does, after the others.
pub(super) fn each(count: usize, share: impl Fn(usize) + Sync) {
    match (TEAM.as_ref(), u16::try_from(count)) {
        (Some(team), Ok(count)) if is_awake() => team.run(count, &share),
        _ => (0..count).into_par_iter().for_each(&share),
    }
}

/// Calls `work(i, part)` for the parts of `size` numbers of `out`, on several threads.
pub(super) fn each_part<T: Send>(
    out: &mut [T],
    size: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let parts = Parts {
        start: out.as_mut_ptr(),
        len: out.len(),
        size,
        numbers: PhantomData,
    };
    each(out.len().div_ceil(size), |number| {
        // SAFETY: `each` calls with every number once.
        work(number, unsafe { parts.part(number) });
    });
}

/// A slice cut into parts that several threads write.
struct Parts<'s, T> {
    start: *mut T,
    len: usize,
    size: usize,
    numbers: PhantomData<&'s mut [T]>,
}

// SAFETY: parts do not overlap, and `T` may be written by another thread.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<T> Parts<'_, T> {
    /// # Safety
    /// Each part may be asked for once.
    #[expect(clippy::mut_from_ref, reason = "each part is asked for once")]
    unsafe fn part(&self, number: usize) -> &mut [T] {
        let from = (number * self.size).min(self.len);
        let to = (from + self.size).min(self.len);
        // SAFETY: within the slice, and nobody else has this part.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), to - from) }
    }
}

/// The work that is shared out, which of it is taken, and what is done.
#[derive(Debug, Default)]
struct Board {
    /// A [`Ticket`].
    ticket: AtomicU64,
    /// A [`Call`], and what it is called with.
    call: AtomicPtr<()>,
    data: AtomicPtr<()>,
    /// Shares of the ticket's work that are done.
    done: AtomicUsize,
    /// Whether a step is going on.
    awake: AtomicBool,
    /// What the first share that panicked said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Calls the closure at the address with the number of a share.
type Call = unsafe fn(*const (), usize);

/// Which work is shared out, in how many shares, and the next of them, in one number.
///
/// A share is taken by counting the ticket up, which fails where any of the three is not as
/// read: a helper that was kept waiting since can take nothing of later work with an old
/// call. (Unless exactly 2³² works were shared out meanwhile.)
#[derive(Clone, Copy)]
struct Ticket {
    work: u32,
    shares: u16,
    next: u16,
}

impl Ticket {
    fn of(number: u64) -> Self {
        Self {
            work: (number >> 32) as u32,
            shares: (number >> 16) as u16,
            next: number as u16,
        }
    }

    fn number(self) -> u64 {
        u64::from(self.work) << 32 | u64::from(self.shares) << 16 | u64::from(self.next)
    }
}

impl Board {
    /// Takes a share and does it; false when all are taken.
    fn take(&self) -> bool {
        let mut number = self.ticket.load(Ordering::Acquire);
        let (ticket, call, data) = loop {
            let ticket = Ticket::of(number);
            if ticket.next >= ticket.shares {
                return false;
            }
            let call = self.call.load(Ordering::Relaxed);
            let data = self.data.load(Ordering::Relaxed);
            // That it is still this ticket says that the call belongs to it: the next work
            // is written when all shares of this one are taken and done.
            let taken = number + 1;
            match self.ticket.compare_exchange_weak(
                number,
                taken,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break (ticket, call, data),
                Err(now) => number = now,
            }
        };
        // SAFETY: `run` wrote both for this work; the closure outlives its shares, of
        // which this is one that is not done.
        let done = catch_unwind(AssertUnwindSafe(|| unsafe {
            let call: Call = std::mem::transmute::<*mut (), Call>(call);
            call(data, usize::from(ticket.next));
        }));
        if let Err(panic) = done {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        self.done.fetch_add(1, Ordering::Release);
        true
    }

    /// Shares out `share`, takes part, and waits for the others.
    fn run<F: Fn(usize) + Sync>(&self, shares: u16, share: &F) {
        unsafe fn call<F: Fn(usize)>(data: *const (), number: usize) {
            // SAFETY: `data` is the closure of this work, see `run`.
            unsafe { (*data.cast::<F>())(number) }
        }
        let before = Ticket::of(self.ticket.load(Ordering::Relaxed));
        let ticket = Ticket {
            work: before.work.wrapping_add(1),
            shares,
            next: 0,
        };
        self.done.store(0, Ordering::Relaxed);
        self.call
            .store(call::<F> as Call as *mut (), Ordering::Relaxed);
        let data = ptr::from_ref(share).cast_mut().cast::<()>();
        self.data.store(data, Ordering::Relaxed);
        self.ticket.store(ticket.number(), Ordering::Release);
        while self.take() {}
        let mut wait = Wait::default();
        while self.done.load(Ordering::Acquire) < usize::from(shares) {
            wait.a_moment();
        }
        let panic = self
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// What a helper does all its life.
    fn help(&self) {
        let mut wait = Wait::default();
        let mut idle: Option<Instant> = None;
        loop {
            if self.take() {
                (wait, idle) = (Wait::default(), None);
            } else if self.awake.load(Ordering::Relaxed) {
                idle = None;
                wait.a_moment();
            } else if idle.get_or_insert_with(Instant::now).elapsed() < LINGER {
                wait.a_moment();
            } else {
                // A step that begins now leaves a token, with which this returns at once.
                thread::park();
                (wait, idle) = (Wait::default(), None);
            }
        }
    }
}

/// Waiting for another thread that is about to be done.
#[derive(Default)]
struct Wait {
    looks: u32,
}

impl Wait {
    fn a_moment(&mut self) {
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS) {
            // This processor may be what the other thread waits for.
            thread::yield_now();
        } else {
            spin_loop();
        }
    }
}

/// Helpers, and who leads them.
struct Team {
    board: Arc<Board>,
    helpers: Vec<Thread>,
    leader: Mutex<()>,
}

impl Team {
    /// A team of `threads` with its leader; none of one, or where no thread can be started.
    fn new(threads: usize) -> Option<Self> {
        let board = Arc::new(Board::default());
        let helper = |number: usize| {
            let board = Arc::clone(&board);
            let started = thread::Builder::new()
                .name(format!("decode-{number}"))
                .spawn(move || board.help());
            started
                .inspect_err(|error| tracing::warn!(%error, "a thread for decoding did not start"))
                .ok()
        };
        let helpers: Vec<Thread> = (1..threads)
            .map_while(helper)
            .map(|handle| handle.thread().clone())
            .collect();
        (!helpers.is_empty()).then_some(Self {
            board,
            helpers,
            leader: Mutex::new(()),
        })
    }

    /// Wakes the helpers for this thread, unless another has them.
    fn lead(&self) -> Option<Lead<'_>> {
        let guard = match self.leader.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.board.awake.store(true, Ordering::Relaxed);
        for helper in &self.helpers {
            helper.unpark();
        }
        LEADS.set(true);
        Some(Lead {
            team: self,
            _guard: guard,
        })
    }

    /// Shares out; what a share shares out itself goes to rayon's pool.
    fn run<F: Fn(usize) + Sync>(&self, count: u16, share: &F) {
        struct Busy;
        impl Drop for Busy {
            fn drop(&mut self) {
                LEADS.set(true);
            }
        }
        LEADS.set(false);
        let _busy = Busy;
        self.board.run(count, share);
    }
}

/// A step that has the helpers.
struct Lead<'t> {
    team: &'t Team,
    _guard: MutexGuard<'t, ()>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        LEADS.set(false);
        self.team.board.awake.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_done_once_whoever_leads() {
        thread::scope(|scope| {
            // One of them has the helpers, the others rayon's pool.
            for seed in 1..4 {
                scope.spawn(move || {
                    for round in 0..2000 {
                        let count = (seed * 7 + round) % 23;
                        let mut out = vec![0; 3 * count + seed];
                        during(|| {
                            for _ in 0..3 {
                                each_part(&mut out, 3, |number, part| {
                                    for place in part {
                                        *place += number + 1;
                                    }
                                });
                            }
                        });
                        for (place, value) in out.iter().enumerate() {
                            assert_eq!(*value, 3 * (place / 3 + 1));
                        }
                    }
                });
            }
        });
        assert!(!is_awake());
    }

    #[test]
    fn helpers_take_shares_of_a_step() {
        let Some(team) = Team::new(2) else {
            panic!("no thread could be started");
        };
        let lead = team.lead().unwrap();
        assert!(is_awake() && team.lead().is_none(), "one step at a time");
        // Each waits for the other: one thread alone would never be done.
        let inside = AtomicUsize::new(0);
        team.run(2, &|_| {
            assert!(!is_awake(), "what a share shares out is not the team's");
            inside.fetch_add(1, Ordering::SeqCst);
            while inside.load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
        });
        assert!(is_awake());
        drop(lead);
        // Asleep by now, and woken by the next.
        thread::sleep(Duration::from_millis(20));
        let _lead = team.lead().unwrap();
        let threads = Mutex::new(std::collections::HashSet::new());
        while threads.lock().unwrap().len() < 2 {
            team.run(64, &|_| {
                threads.lock().unwrap().insert(thread::current().id());
            });
        }
    }

    #[test]
    fn a_panic_comes_to_the_leader_and_the_team_goes_on() {
        let team = Team::new(3).unwrap();
        let _lead = team.lead().unwrap();
        let done = AtomicUsize::new(0);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            team.run(20, &|number| {
                assert_ne!(number, 7, "the seventh");
                done.fetch_add(1, Ordering::SeqCst);
            });
        }));
        let said = *failed.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("the seventh"), "{said}");
        assert_eq!(done.load(Ordering::SeqCst), 19);
        team.run(5, &|_| {
            done.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(done.load(Ordering::SeqCst), 24);
    }
}
