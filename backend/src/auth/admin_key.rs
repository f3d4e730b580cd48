//! The first key: made once, kept in the state folder, readable by its owner.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use illumine_store::Store;
use illumine_types::api::Role;
use rand::RngCore;

/// File name within the state folder.
pub const FILE: &str = "admin-key";

/// A key that was made just now, to be shown once.
pub struct FirstKey {
    pub secret: String,
    pub file: PathBuf,
}

/// Makes sure that an administrator can sign in. Answers the key if it is new.
///
/// A key that was kept here and revoked since stays revoked as long as some
/// administrator's key exists.
///
/// # Errors
/// If the folder cannot be written or a store is away.
pub async fn ensure(data_dir: &Path, store: &Store) -> Result<Option<FirstKey>> {
    let file = data_dir.join(FILE);
    let (secret, is_new) = read_or_make(&file)?;
    let keys = store.keys();
    if keys.authenticate(&secret).await?.is_some() {
        return Ok(None);
    }
    let has_admin = keys.list().await?.iter().any(|key| key.role == Role::Admin);
    if has_admin && !is_new {
        tracing::warn!(file = %file.display(), "the key kept here was revoked");
        return Ok(None);
    }
    keys.ensure(&secret, "first administrator", Role::Admin)
        .await?;
    Ok(is_new.then_some(FirstKey { secret, file }))
}

/// The file is written before the key is registered: a start that is cut short
/// in between registers it the next time.
fn read_or_make(file: &Path) -> Result<(String, bool)> {
    match fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => return Ok((text.trim().to_owned(), false)),
        Ok(_) => fs::remove_file(file).with_context(|| unusable(file))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| unusable(file)),
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| unusable(file))?;
    }
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let secret = format!("ilm_{}", URL_SAFE_NO_PAD.encode(bytes));
    let mut handle = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| unusable(file))?;
    writeln!(handle, "{secret}").with_context(|| unusable(file))?;
    handle.sync_all().with_context(|| unusable(file))?;
    Ok((secret, true))
}

fn unusable(file: &Path) -> String {
    format!(
        "the administrator's key cannot be kept in {}",
        file.display()
    )
}
