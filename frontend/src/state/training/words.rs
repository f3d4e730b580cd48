//! Names of things about runs as people read them.

use illumine_types::JobState;
use illumine_types::training::{Algorithm, Engine};

use crate::state::words::state_name;

/// As in lists of documents, but a run is trained, not made.
pub const fn run_state_name(state: JobState) -> &'static str {
    match state {
        JobState::Running => "Training",
        other => state_name(other),
    }
}

pub const ENGINES: [(Engine, &str, &str); 2] = [
    (
        Engine::Burn,
        "burn",
        "Burn, on a worker of this installation",
    ),
    (Engine::Ray, "ray", "Ray, on a cluster"),
];

pub const ALGORITHMS: [(Algorithm, &str, &str); 2] = [
    (Algorithm::Grpo, "grpo", "GRPO, a ratio a token"),
    (Algorithm::Gspo, "gspo", "GSPO, a ratio an answer"),
];

pub const fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Grpo => "GRPO",
        Algorithm::Gspo => "GSPO",
    }
}

pub const fn engine_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Burn => "Burn",
        Engine::Ray => "Ray",
    }
}
