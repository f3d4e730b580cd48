//! A compiler for the browser: rustup's with the source of the standard library,
//! so that this is built for size too; else rustup's finished target; else
//! Debian's compiler, where toolchain downloads are closed.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::exec::{find, program};
use crate::setup::packages;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// How to compile for the browser.
pub enum Toolchain {
    /// The usual cargo builds the standard library from source.
    RustupSource,
    /// The usual cargo links the finished standard library: a larger module.
    RustupTarget,
    /// Debian's cargo and rustc build the standard library from source.
    Debian {
        cargo: PathBuf,
        rustc: PathBuf,
        linker: PathBuf,
    },
}

/// Finds a way, installing what is missing.
pub fn toolchain() -> Result<Toolchain> {
    if has_source() || (rustup(&["component", "add", "rust-src"]) && has_source()) {
        return Ok(Toolchain::RustupSource);
    }
    if has_target() || (rustup(&["target", "add", TARGET]) && has_target()) {
        eprintln!(
            "rustup cannot add `rust-src` here; the portal's module will be some 40 KB larger"
        );
        return Ok(Toolchain::RustupTarget);
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

/// Whether rustup is there and does what `arguments` ask.
fn rustup(arguments: &[&str]) -> bool {
    find("rustup").is_some() && program("rustup").args(arguments).succeeds()
}

/// Whether the usual compiler has the standard library's source.
fn has_source() -> bool {
    sysroot().is_ok_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std").exists())
}

fn sysroot() -> Result<PathBuf> {
    let sysroot = program("rustc").args(["--print", "sysroot"]).output()?;
    Ok(PathBuf::from(sysroot))
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
    let version = program("rustc").args(["-vV"]).output()?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not name its host")?;
    let linker = sysroot()?
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
