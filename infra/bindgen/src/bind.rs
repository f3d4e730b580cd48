//! Runs wasm-bindgen.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

const NAME: &str = "illumine";

/// What wasm-bindgen makes of a module.
#[derive(Debug)]
pub struct Bound {
    pub js: String,
    pub wasm: Vec<u8>,
}

/// Makes the JavaScript beside a module and strips what browsers do not need.
///
/// # Errors
/// The file is no module, or of another version of wasm-bindgen.
pub fn bind(wasm: &Path) -> Result<Bound> {
    ensure!(wasm.is_file(), "no module at {}", wasm.display());
    let mut output = Bindgen::new()
        .input_path(wasm)
        .out_name(NAME)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        // The page names the module itself.
        .omit_default_module_path(true)
        .generate_output()
        .context("wasm-bindgen")?;
    let inline = output
        .snippets()
        .iter()
        .filter(|(_, list)| !list.is_empty());
    let foreign: Vec<&String> = inline.map(|(name, _)| name).collect();
    ensure!(
        foreign.is_empty() && output.local_modules().is_empty(),
        "a dependency brings JavaScript files, which are not copied: {foreign:?} {:?}",
        output.local_modules().keys()
    );
    Ok(Bound {
        js: output.js().to_owned(),
        wasm: output.wasm_mut().emit_wasm(),
    })
}
