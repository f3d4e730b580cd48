//! Turns the portal's WebAssembly module into a folder that a server can serve.
//!
//! `illumine-bindgen --wasm FILE --static frontend/static --out DIR` writes
//! `index.html`, `assets/` (JavaScript, WebAssembly and styles named by their
//! content, so that browsers may keep them for ever) and the other static
//! files, each also compressed as `.br` and `.gz`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod assets;
mod bind;
mod compress;
mod page;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: illumine-bindgen --wasm FILE --static DIR --out DIR";

/// What to read and where to write.
struct Arguments {
    wasm: PathBuf,
    statics: PathBuf,
    out: PathBuf,
}

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("illumine-bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments> {
    let (mut wasm, mut statics, mut out) = (None, None, None);
    while let Some(name) = given.next() {
        let place = match name.as_str() {
            "--wasm" => &mut wasm,
            "--static" => &mut statics,
            "--out" => &mut out,
            other => bail!("unknown argument `{other}`\n{USAGE}"),
        };
        let value = given
            .next()
            .with_context(|| format!("`{name}` needs a value"))?;
        *place = Some(PathBuf::from(value));
    }
    Ok(Arguments {
        wasm: wasm.context(USAGE)?,
        statics: statics.context(USAGE)?,
        out: out.context(USAGE)?,
    })
}

fn run(arguments: &Arguments) -> Result<()> {
    let bound = bind::bind(&arguments.wasm)?;
    let site = page::site(&bound, &arguments.statics)?;
    let sizes = assets::publish(&site, &arguments.out)?;
    for (path, size) in &sizes {
        println!(
            "{path}: {} bytes, {} gzip, {} brotli",
            size.raw, size.gzip, size.brotli
        );
    }
    let code =
        |(path, _): &&(String, assets::Size)| path.ends_with(".wasm") || path.ends_with(".js");
    let total: usize = sizes.iter().filter(code).map(|(_, size)| size.brotli).sum();
    println!("wasm and js: {total} bytes brotli");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::arguments;

    fn given(words: &str) -> anyhow::Result<super::Arguments> {
        arguments(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn all_three_are_needed() {
        let read = given("--wasm a --out b --static c").unwrap();
        assert_eq!(read.out.to_str(), Some("b"));
        assert!(given("--wasm a --out b").is_err());
        assert!(given("--wasm a --out b --static").is_err());
        assert!(given("--what a").is_err());
    }
}
