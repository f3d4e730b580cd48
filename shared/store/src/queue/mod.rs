//! The queue: what waits, what runs, who runs it.
//!
//! ```text
//! submit ─▶ lane (kind, priority, owner) ─▶ take ─▶ stream (kind, priority) ─▶ handler
//!             ▲        owners take turns      │       pending entry = running job
//!             │                               └─ attempt counted, state `running`
//!             ├── delayed (back-off) ◀── failed for a passing reason
//!             └── reap ◀── no heartbeat for a lease
//! ```
//!
//! *Fair share.* Each owner has a lane for each kind and priority; the ring of
//! owners with waiting jobs goes round, one job a turn. *Priority.* High before
//! normal before low, but every eighth turn asks normal first and every
//! thirty-second low first, so that none starves. *Fencing.* Handing out a job
//! adds an entry to a stream and delivers it to the worker in one script; the
//! entry never changes its worker, and only who acknowledges it (`XACK` = 1)
//! may change the job's state. *Leases.* A heartbeat renews the entries of the
//! jobs that a worker really runs; the others' jobs go back to their lanes
//! after a lease. *Waking.* Idle workers wait for a message on `il:wake`, and
//! look for themselves once a second.

mod backend;
mod beat;
mod context;
mod delivery;
mod fetch;
mod inspect;
mod layer;
mod worker;

pub use context::{JobContext, JobFailure};
pub use inspect::{DeadLetter, Queue, QueueLength};
pub use worker::{QueueWorker, QueueWorkerBuilder};
