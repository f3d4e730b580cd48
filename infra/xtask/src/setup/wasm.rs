//! A compiler for the browser: rustup's target, or Debian's where toolchain
//! downloads are closed.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::exec::{find, program};
use crate::setup::packages;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// How to compile for the browser.
pub enum Toolchain {
    /// The usual cargo knows the target.
    Rustup,
    /// Debian's cargo and rustc build the standard library from source.
    Debian {
        cargo: PathBuf,
        rustc: PathBuf,
        linker: PathBuf,
    },
}

/// Finds a way, installing what is missing.
pub fn toolchain() -> Result<Toolchain> {
    if has_target() {
        return Ok(Toolchain::Rustup);
    }
    if find("rustup").is_some()
        && program("rustup").args(["target", "add", TARGET]).succeeds()
        && has_target()
    {
        return Ok(Toolchain::Rustup);
    }
    eprintln!("rustup cannot add {TARGET} here; using Debian's compiler for it");
    let (cargo, rustc) = (
        PathBuf::from("/usr/bin/cargo"),
        PathBuf::from("/usr/bin/rustc"),
    );
    let source = PathBuf::from("/usr/src/rustc-web/library/std");
    if !(cargo.exists() && rustc.exists() && (source.exists() || debian_source_installed())) {
        if find("apt-get").is_none() {
            bail!("the portal needs the {TARGET} target: run `rustup target add {TARGET}`");
        }
        packages::apt(&["rustc-web", "cargo-web", "rust-web-src"])?;
    }
    Ok(Toolchain::Debian {
        cargo,
        rustc,
        linker: linker()?,
    })
}

fn debian_source_installed() -> bool {
    program("dpkg").args(["-s", "rust-web-src"]).succeeds()
}

/// Whether the usual compiler has the target's standard library.
fn has_target() -> bool {
    let libraries = program("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    libraries.is_ok_and(|folder| {
        PathBuf::from(folder)
            .read_dir()
            .is_ok_and(|mut files| files.next().is_some())
    })
}

/// The linker that comes with the usual compiler.
fn linker() -> Result<PathBuf> {
    let sysroot = program("rustc").args(["--print", "sysroot"]).output()?;
    let version = program("rustc").args(["-vV"]).output()?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not name its host")?;
    let linker = PathBuf::from(sysroot)
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    if !linker.exists() {
        bail!(
            "{} is missing: the Rust toolchain is incomplete",
            linker.display()
        );
    }
    Ok(linker)
}
