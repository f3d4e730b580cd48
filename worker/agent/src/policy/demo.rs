//! The embedded demo policy: its folder travels inside the program.

use std::fs;
use std::io;

use tempfile::TempDir;

/// What `burn:demo` names.
pub const NAME: &str = "demo";

macro_rules! file {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../../models/demo-policy/", $name)).as_slice(),
        )
    };
}

const FILES: [(&str, &[u8]); 6] = [
    file!("config.json"),
    file!("model.safetensors"),
    file!("tokenizer.json"),
    file!("tokenizer_config.json"),
    file!("system_prompt.md"),
    file!("illumine.json"),
];

/// Writes the folder to a temporary place, which goes when the value does.
///
/// # Errors
/// If the temporary folder cannot be written.
pub fn unpack() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("illumine-demo-")
        .tempdir()?;
    for (name, bytes) in FILES {
        fs::write(folder.path().join(name), bytes)?;
    }
    Ok(folder)
}
