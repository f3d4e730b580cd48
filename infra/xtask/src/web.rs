//! The portal: Rust to WebAssembly, bindings, compression.

use std::path::Path;

use anyhow::Result;

use crate::exec::{cargo, program};
use crate::paths;
use crate::setup::wasm::{self, Toolchain};

/// What makes the module small (`infra/bindgen/README.md` has the figures).
const SMALLER: &str = "--cfg erase_components -Zunstable-options -Cpanic=immediate-abort \
                       -Zlocation-detail=none -Zfmt-debug=none";

/// Builds the portal into `out`. `profile` is the one that the caller builds
/// everything else with, so that the bindings' generator shares its work.
pub fn build(out: &Path, profile: &[&str]) -> Result<()> {
    let target = paths::target_dir().join("web");
    let arguments = [
        "--profile",
        "web",
        "--package",
        "illumine-frontend",
        "--target",
        wasm::TARGET,
        "--target-dir",
    ];
    match wasm::toolchain()? {
        Toolchain::Rustup => cargo("build").args(arguments).args([&target]).run()?,
        Toolchain::Debian {
            cargo,
            rustc,
            linker,
        } => program(cargo)
            .args([
                "build",
                "-Zbuild-std=std,panic_abort",
                "-Zbuild-std-features=optimize_for_size",
            ])
            .args(arguments)
            .args([&target])
            .env("RUSTC", rustc)
            // Debian's compiler is a stable one; building std is not stable yet.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", SMALLER)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
            // Set by the cargo that runs us; they would name the other compiler.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env_remove("RUSTC_WRAPPER")
            .run()?,
    }
    let module = target.join(wasm::TARGET).join("web/illumine-frontend.wasm");
    cargo("run")
        .args(["--quiet"])
        .args(profile)
        .args(["--package", "illumine-bindgen", "--", "--wasm"])
        .args([
            module.as_os_str(),
            "--static".as_ref(),
            "frontend/static".as_ref(),
            "--out".as_ref(),
            out.as_os_str(),
        ])
        .run()
}
