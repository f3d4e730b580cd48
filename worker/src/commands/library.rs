//! `illumine library`: the pictures that the search tool's `library` reads.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Command {
    /// Copy a folder's pictures into S3; NAME.json beside NAME.jpg holds title, caption, tags, author, license, source
    Import { folder: PathBuf },
    /// List what is there
    List {
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let loaded = super::configuration(|sources| sources)?;
    let store = crate::store::connect(&loaded.config).await?;
    match command {
        Command::Import { folder } => {
            anyhow::ensure!(folder.is_dir(), "{} is not a folder", folder.display());
            let copied = crate::library::import(&store, &folder).await?;
            println!("{copied} pictures imported");
        }
        Command::List { json } => {
            for entry in store.library().list().await? {
                if json {
                    println!("{}", serde_json::to_string(&entry)?);
                } else {
                    println!("{}  {}", entry.key, entry.title.unwrap_or(entry.caption));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
