//! Everything that the two commands need beside a Rust toolchain.

pub mod library;
pub mod libtorch;
pub mod packages;
pub mod python;
pub mod wasm;

use anyhow::Result;

/// What running needs.
pub fn for_up() -> Result<()> {
    packages::ensure(packages::RUN)?;
    python::ensure()?;
    library::ensure()
}

/// What testing needs.
pub fn for_test() -> Result<()> {
    packages::ensure(packages::RUN)?;
    packages::ensure(packages::TEST)?;
    python::ensure()?;
    python::ensure_openai()?;
    python::ensure_ray()?;
    library::ensure()
}

pub fn all() -> Result<()> {
    for_test()?;
    wasm::toolchain().map(|_| ())
}
