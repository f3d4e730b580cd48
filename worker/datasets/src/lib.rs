//! Datasets of prompts for reinforcement learning, in the columns of LLM-I
//! (arXiv 2509.13642): `prompt`, `images`, `data_source` and `extra_info
//! {split, image_num, tools, question, index}`.
//!
//! ```text
//! *.parquet ─┐                                   ┌─▶ at(split, seed, position) ─▶ training
//!            ├▶ read ─▶ Row (checked) ─▶ Dataset ┼─▶ Summary ─▶ what a person is shown
//! *.jsonl  ──┘                            ▲      └─▶ write ─▶ *.parquet, *.jsonl
//!                             generator ──┘
//! ```
//!
//! | module | |
//! |---|---|
//! | [`row`] | [`Row`]: the typed row; what is accepted and what is refused |
//! | [`read`] | [`read::rows`] streams one file, [`read::load`] takes the whole of it; [`ReadOptions`] |
//! | [`dataset`], [`split`], [`order`] | [`Dataset`]: rows in two splits, and where each stands in an epoch |
//! | [`summary`] | [`Summary`]: counts and lengths |
//! | [`mod@survey`] | [`survey::survey`]: an upload checked, counted and shown, without keeping it |
//! | [`mod@write`] | [`write::jsonl`], [`write::parquet`] |
//! | [`generator`], [`demo`] | [`generator::train`], [`generator::test`]: prompts of our own; as files |
//!
//! A dataset is read, split and walked through like this:
//!
//! ```
//! # fn main() -> illumine_datasets::Result<()> {
//! use illumine_datasets::{Dataset, ReadOptions, Split, SplitRule};
//!
//! let files = [concat!(env!("CARGO_MANIFEST_DIR"), "/demo/train.parquet")];
//! let dataset = Dataset::read(&files, &ReadOptions::default(), SplitRule::Column)?;
//! let thousandth = dataset.at(Split::Train, 7, 1_000).expect("the split has rows");
//! println!("{}", thousandth.question());
//! println!("{:?}", dataset.summary(&|text| text.len()).by_tool);
//! # Ok(())
//! # }
//! ```
//!
//! Every error names file, row and field, and says what to do; its
//! [`code`](DatasetError::code) never changes.
//!
//! Test alone with `cargo nextest run -p illumine-datasets`. Files made by pandas
//! and Hugging Face `datasets` are among the tests' fixtures
//! (`infra/parity/datasets_fixtures.py`), so that no test needs Python. The
//! committed `demo/` is written by `cargo run -p illumine-datasets --example
//! write_demo`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod dataset;
pub mod demo;
pub mod error;
pub mod generator;
pub mod order;
pub mod read;
pub mod rng;
pub mod row;
pub mod split;
pub mod summary;
pub mod survey;
mod value;
pub mod write;

pub use dataset::Dataset;
pub use error::{DatasetError, Result};
pub use read::{ReadOptions, UnknownColumns};
pub use row::{ExtraInfo, ImageNum, Message, Picture, Prompt, Role, Row, SystemMessage};
pub use split::{Split, SplitRule, Splits};
pub use summary::Summary;
