//! System packages, from Debian's or Homebrew's package manager.

use anyhow::{Result, bail};

use crate::exec::{find, program};

/// A program that must be there, and the package that brings it.
pub struct Package {
    program: &'static str,
    debian: &'static str,
    homebrew: Option<&'static str>,
    what_for: &'static str,
}

pub const RUN: &[Package] = &[
    Package {
        program: "redis-server",
        debian: "redis-server",
        homebrew: Some("redis"),
        what_for: "queues and live events",
    },
    // Linux only: elsewhere the code tool says that it is unavailable.
    Package {
        program: "bwrap",
        debian: "bubblewrap",
        homebrew: None,
        what_for: "the code tool's sandbox",
    },
    // Some systems ship it apart from Python.
    Package {
        program: "python3",
        debian: "python3",
        homebrew: Some("python"),
        what_for: "the code tool",
    },
];

pub const TEST: &[Package] = &[
    Package {
        program: "chromium",
        debian: "chromium",
        homebrew: Some("chromium"),
        what_for: "browser tests",
    },
    Package {
        program: "chromedriver",
        debian: "chromium-driver",
        homebrew: Some("chromedriver"),
        what_for: "browser tests",
    },
];

pub const LIBTORCH: &[Package] = &[Package {
    program: "c++",
    debian: "g++",
    homebrew: None,
    what_for: "LibTorch's bindings",
}];

/// Installs those packages whose program is missing.
pub fn ensure(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = packages
        .iter()
        .filter(|package| find(package.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        eprintln!("missing: {} ({})", package.program, package.what_for);
    }
    if find("apt-get").is_some() {
        apt(&missing
            .iter()
            .map(|package| package.debian)
            .collect::<Vec<_>>())
    } else if find("brew").is_some() {
        let names: Vec<_> = missing
            .iter()
            .filter_map(|package| package.homebrew)
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            program("brew").args(["install"]).args(names).run()
        }
    } else {
        let names: Vec<_> = missing.iter().map(|package| package.program).collect();
        bail!(
            "please install {} and run this again; only Debian's and Homebrew's packages are installed by themselves",
            names.join(", ")
        )
    }
}

/// Installs Debian packages, as root or through sudo.
pub fn apt(names: &[&str]) -> Result<()> {
    let command = format!(
        "apt-get install -y --no-install-recommends {}",
        names.join(" ")
    );
    let root = is_root();
    if !root && !program("sudo").args(["-n", "true"]).succeeds() {
        bail!(
            "missing packages, and this user may not install them; please have someone run: {command}"
        );
    }
    let apt = |arguments: &[&str]| {
        let apt = if root {
            program("apt-get")
        } else {
            program("sudo").args(["-n", "apt-get"])
        };
        apt.args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .run()
    };
    apt(&["update", "-q"])?;
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(names);
    apt(&install)
}

fn is_root() -> bool {
    program("id")
        .args(["-u"])
        .output()
        .is_ok_and(|id| id == "0")
}
