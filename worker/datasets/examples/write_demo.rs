//! Writes the generator's dataset: `cargo run -p illumine-datasets --example
//! write_demo [-- FOLDER [SEED]]`. Without a folder, the committed `demo/`; with one,
//! JSON lines too, for reading.

use std::path::{Path, PathBuf};

use illumine_datasets::{Dataset, SplitRule, generator, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map(PathBuf::from);
    let seed = match arguments.next() {
        Some(seed) => seed.parse()?,
        None => generator::DEMO_SEED,
    };
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let home = folder.as_ref().unwrap_or(&demo);
    std::fs::create_dir_all(home)?;
    let (mut rows, test) = (generator::train(seed)?, generator::test(seed)?);
    for (name, rows) in [("train", &rows), ("test", &test)] {
        write::parquet(home.join(format!("{name}.parquet")), rows)?;
        if folder.is_some() {
            write::jsonl(home.join(format!("{name}.jsonl")), rows)?;
        }
    }
    rows.extend(test);
    let dataset = Dataset::new(rows, SplitRule::Column)?;
    let words = |text: &str| text.split_whitespace().count();
    println!(
        "{}",
        serde_json::to_string_pretty(&dataset.summary(&words))?
    );
    Ok(())
}
