//! `illumine config check`: what is set, from where, and what it yields.

use std::process::ExitCode;

use clap::Subcommand;

use crate::tools;

#[derive(Subcommand)]
pub enum Command {
    /// Print every value and its origin (secrets masked), and what each tool would use
    Check,
    /// Print every setting's key, variable and meaning as a Markdown table
    Table,
}

pub async fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check => check().await,
        Command::Table => {
            println!("| key | variable | meaning |\n|---|---|---|");
            for setting in illumine_config::settings::SETTINGS {
                println!(
                    "| `{}` | `{}` | {} |",
                    setting.key, setting.variable, setting.meaning
                );
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn check() -> anyhow::Result<ExitCode> {
    let loaded = super::configuration(|sources| sources)?;
    print!("{}", loaded.report());
    println!("\npolicy: {}", loaded.config.policy.spec);
    for tool in tools::for_folder(&loaded.config).await.tools() {
        let capability = tool.capability();
        let kind = capability.tool;
        match (capability.available, capability.reason, capability.remedy) {
            (true, ..) => println!("{kind}: {}", capability.backends.join(", then ")),
            (false, reason, remedy) => println!(
                "{kind}: not available: {}{}",
                reason.unwrap_or_else(|| "no backend".into()),
                remedy.map_or_else(String::new, |remedy| format!("; set {remedy}"))
            ),
        }
    }
    match loaded.config.ray() {
        Ok(target) => println!(
            "ray: {}, whose jobs ask {} for rewards",
            target.shown, target.callback
        ),
        Err(unset) => println!(
            "ray: not available: {}; set {}",
            unset.reason, unset.setting
        ),
    }
    Ok(ExitCode::SUCCESS)
}
