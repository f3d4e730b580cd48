//! The portal: Rust to WebAssembly, bindings, compression.

use std::path::Path;

use anyhow::Result;

use crate::exec::{cargo, program};
use crate::paths;
use crate::setup::wasm::{self, Toolchain};

/// What makes the module small (`infra/bindgen/README.md` has the figures).
const SMALLER: &str = "--cfg erase_components -Zlocation-detail=none -Zfmt-debug=none";

/// As far as that needs a standard library of the same build.
const SMALLER_WITH_STD: &str = "-Zunstable-options -Cpanic=immediate-abort";

/// Builds the standard library for size with the module.
const BUILD_STD: [&str; 2] = [
    "-Zbuild-std=std,panic_abort",
    "-Zbuild-std-features=optimize_for_size",
];

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
    let (compiler, build_std) = match wasm::toolchain()? {
        Toolchain::RustupSource => (cargo("build"), true),
        Toolchain::RustupTarget => (cargo("build"), false),
        Toolchain::Debian {
            cargo,
            rustc,
            linker,
        } => {
            let compiler = program(cargo)
                .args(["build"])
                .env("RUSTC", rustc)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                // Set by the cargo that runs us; they would name the other compiler.
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("CARGO")
                .env_remove("RUSTC_WRAPPER");
            (compiler, true)
        }
    };
    let (build_std, flags): (&[_], _) = match build_std {
        true => (&BUILD_STD, format!("{SMALLER} {SMALLER_WITH_STD}")),
        false => (&[], SMALLER.to_owned()),
    };
    compiler
        .args(build_std)
        .args(arguments)
        .args([&target])
        // The compiler is a stable one; the options are not stable yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags)
        .run()?;
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
