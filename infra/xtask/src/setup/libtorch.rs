//! LibTorch for the `tch` feature: a device of `illumine-models` beside its own.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::exec::{Program, find, program};
use crate::paths;
use crate::setup::{packages, python};

/// The folder that `LIBTORCH` names.
pub fn folder() -> PathBuf {
    paths::data_dir().join("libtorch")
}

/// Installs it; what is there already and whole is left as it is.
pub fn ensure() -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("{}", elsewhere());
    }
    packages::ensure(packages::LIBTORCH)?;
    python::ensure()?;
    // Without a GPU the CUDA half stays out: a build that finds it links with it.
    let cuda: &[&str] = if has_gpu() { &["--cuda"] } else { &[] };
    program(python::folder().join("bin/python"))
        .args(["infra/libtorch/install.py"])
        .args([folder()])
        .args(cuda)
        .run()
        .context("installing LibTorch")
}

/// Sets the program's environment so that it builds with it and finds it.
pub fn with_environment(program: Program) -> Program {
    let mut path = folder().join("lib").into_os_string();
    if let Some(others) = std::env::var_os("LD_LIBRARY_PATH").filter(|others| !others.is_empty()) {
        path.push(OsString::from(":"));
        path.push(others);
    }
    program
        .env("LIBTORCH", folder())
        .env("LD_LIBRARY_PATH", path)
}

/// What a shell evaluates to build with it by hand.
pub fn instructions() -> String {
    format!(
        "\
export LIBTORCH='{}'
export LD_LIBRARY_PATH=\"$LIBTORCH/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"
# Then build with it, which takes 10 to 20 minutes the first time,
#   cargo build --release --package illumine-worker --features tch
# and name it: `--device libtorch`, or `libtorch:cuda:0` on a GPU.",
        folder().display()
    )
}

fn has_gpu() -> bool {
    find("nvidia-smi").is_some_and(|smi| program(smi).args(["--list-gpus"]).succeeds())
}

fn elsewhere() -> &'static str {
    if cfg!(target_os = "macos") {
        "on macOS the wheel is complete as it is: `python3 -m pip install torch==2.9.0`, then \
         export LIBTORCH=$(python3 -c 'import torch, pathlib; print(pathlib.Path(torch.__file__).parent)') \
         and DYLD_LIBRARY_PATH=$LIBTORCH/lib, and build with `--features tch`"
    } else {
        "only x86-64 Linux is set up by itself: unpack LibTorch 2.9.0 for this machine from \
         https://pytorch.org, export LIBTORCH=<its folder> and LD_LIBRARY_PATH=$LIBTORCH/lib, \
         and build with `--features tch`"
    }
}
