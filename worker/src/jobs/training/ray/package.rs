//! A run's files for the cluster: the recipe, its overrides, and the data in verl's
//! columns, as one archive that Ray unpacks into the job's folder.

use std::io::{Cursor, Write};

use illumine_agent::prompt::{BUILT_IN, PromptVariables, system_prompt};
use illumine_datasets::{Dataset, Row, Split, SystemMessage};
use illumine_types::training::TrainingConfig;
use illumine_types::{JobId, ToolKind};
use serde_json::json;
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::recipe;

/// Ray refuses requests of more than 100 MiB.
const LARGEST: usize = 64 << 20;
const TRAIN: &str = "train.jsonl";
const TEST: &str = "test.jsonl";

/// What starts the job in its folder.
pub const ENTRYPOINT: &str = "bash train.sh";

/// An archive, named for what it holds.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Rows with pictures, which stay here: the reward service is asked in words.
    pub left_out: usize,
}

/// The archive of a run. `template` is the system prompt's, if not the built-in one;
/// `tools` are those that can run.
///
/// # Errors
/// The field that cannot be used and why.
pub fn package(
    config: &TrainingConfig,
    run: &JobId,
    dataset: &Dataset,
    template: Option<&str>,
    tools: &[ToolKind],
) -> Result<Package, (&'static str, String)> {
    let variables = PromptVariables::new(tools, 0, false);
    let system = system_prompt(template.unwrap_or(BUILT_IN), &variables)
        .map_err(|error| ("policy.system_prompt", error.to_string()))?;
    let (train, left_out) = lines(dataset, Split::Train, &system);
    let (test, _) = lines(dataset, Split::Test, &system);
    if train.is_empty() {
        let reason = "no row of the split `train` is without pictures: runs on Ray learn from \
                      prompts in words";
        return Err(("dataset", reason.into()));
    }
    let test = match (test.is_empty(), config.settings.validate_every) {
        (false, _) => test,
        // verl wants a file, and reads it.
        (true, 0) => train.clone(),
        (true, _) => {
            let reason = "no row of the split `test` is without pictures: add some, or set \
                          `settings.validate_every` to 0";
            return Err(("dataset", reason.into()));
        }
    };
    let own = recipe::overrides(config, run).join("\n") + "\n";
    let files = [
        ("train.sh", recipe::START),
        ("reward.py", recipe::REWARD),
        ("common.overrides", recipe::COMMON),
        ("recipe.overrides", recipe::machines(&config.model)),
        ("run.overrides", &own),
        (TRAIN, &train),
        (TEST, &test),
    ];
    let bytes = archive(&files).map_err(|error| ("dataset", error.to_string()))?;
    if bytes.len() > LARGEST {
        let reason = format!(
            "the prompts take {} MiB when compressed, more than the {} MiB that are sent to Ray",
            bytes.len() >> 20,
            LARGEST >> 20
        );
        return Err(("dataset", reason));
    }
    Ok(Package {
        name: name(&files),
        bytes,
        left_out,
    })
}

/// The split's rows in verl's columns, a JSON object a line, and how many were left out.
fn lines(dataset: &Dataset, split: Split, system: &str) -> (String, usize) {
    let system = SystemMessage::Replace(system.to_owned());
    let (seeing, plain): (Vec<&Row>, Vec<&Row>) = dataset
        .rows_of(split)
        .partition(|row| !row.images.is_empty());
    let lines = plain.iter().enumerate().map(|(place, row)| {
        let source = match row.data_source.as_str() {
            "" => "prompts",
            source => source,
        };
        let line = json!({
            "prompt": row.prompt.clone().with_system(&system).messages(),
            "data_source": source,
            // verl asks for the column; the reward needs the one below.
            "reward_model": {"style": "rule", "ground_truth": ""},
            "extra_info": {
                "index": place,
                "split": split.as_str(),
                "image_num": row.extra_info.image_num.number(),
                "tools": row.extra_info.tools,
                "question": row.question(),
            },
        });
        format!("{line}\n")
    });
    (lines.collect(), seeing.len())
}

fn archive(files: &[(&str, &str)]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

/// As Ray names packages, by their contents.
fn name(files: &[(&str, &str)]) -> String {
    let mut hash = Sha256::new();
    for (name, text) in files {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let digest: String = hash
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("_ray_pkg_{digest}.zip")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use illumine_types::training::Preset;
    use serde_json::Value;
    use zip::ZipArchive;

    use super::*;

    fn run() -> JobId {
        JobId::parse("run_01J9ZD1N7H0000000000000000").unwrap()
    }

    fn demo() -> Dataset {
        let folder = tempfile::tempdir().unwrap();
        let paths = illumine_datasets::demo::unpack(folder.path()).unwrap();
        let rule = illumine_datasets::SplitRule::Column;
        Dataset::read(&paths, &illumine_datasets::ReadOptions::default(), rule).unwrap()
    }

    async fn packed(config: &TrainingConfig) -> Package {
        let dataset = demo();
        package(config, &run(), &dataset, None, &[ToolKind::Code]).unwrap()
    }

    fn text(package: &Package, name: &str) -> String {
        let mut zip = ZipArchive::new(Cursor::new(package.bytes.clone())).unwrap();
        let mut text = String::new();
        let mut file = zip.by_name(name).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test]
    async fn a_package_is_named_for_what_it_holds() {
        let config = Preset::Qwen34bGrpo.config();
        let (one, again) = (packed(&config).await, packed(&config).await);
        assert_eq!(one.name, again.name);
        let mut other = config.clone();
        other.settings.learning_rate = 2e-6;
        assert_ne!(packed(&other).await.name, one.name);

        assert!(text(&one, "run.overrides").contains("\nactor_rollout_ref.actor.optim.lr=1e-6\n"));
        assert_eq!(text(&one, "recipe.overrides"), recipe::machines("qwen3-4b"));
        assert_eq!(text(&one, "reward.py"), recipe::REWARD);
    }

    #[tokio::test]
    async fn rows_are_in_verls_columns_with_our_system_prompt() {
        let config = Preset::Qwen34bGrpo.config();
        let package = packed(&config).await;
        let train = text(&package, TRAIN);
        let rows: Vec<Value> = train
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let dataset = demo();
        let all = dataset.rows_of(Split::Train).count();
        assert!(package.left_out > 0, "the demo data has rows with pictures");
        assert_eq!(rows.len() + package.left_out, all);
        for (place, row) in rows.iter().enumerate() {
            let prompt = row["prompt"].as_array().unwrap();
            assert_eq!(prompt[0]["role"], "system");
            let system = prompt[0]["content"].as_str().unwrap();
            assert!(system.contains("`code`") && !system.contains("`search`"));
            assert_eq!(prompt[1]["role"], "user");
            let extra = &row["extra_info"];
            assert_eq!(extra["index"], place);
            assert!(extra["image_num"].is_i64() && extra["tools"].is_array());
            assert!(!extra["question"].as_str().unwrap().is_empty());
            assert!(row["reward_model"]["ground_truth"].is_string());
            assert!(!row["data_source"].as_str().unwrap().is_empty());
        }
        assert!(text(&package, TEST).lines().count() > 10);
    }

    #[tokio::test]
    async fn validation_without_held_out_rows_is_refused() {
        let mut config = Preset::Qwen34bGrpo.config();
        let mut dataset = demo();
        dataset = Dataset::new(
            dataset.rows_of(Split::Train).cloned().collect(),
            illumine_datasets::SplitRule::Column,
        )
        .unwrap();
        let refused = package(&config, &run(), &dataset, None, &[]).unwrap_err();
        assert_eq!(refused.0, "dataset");
        assert!(refused.1.contains("validate_every"), "{}", refused.1);
        config.settings.validate_every = 0;
        package(&config, &run(), &dataset, None, &[]).unwrap();
    }
}
