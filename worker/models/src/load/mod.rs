//! Reads a Hugging Face model folder.
//!
//! | file | |
//! |---|---|
//! | `config.json` | shapes and family |
//! | `model.safetensors`, or `model.safetensors.index.json` and its shards | weights in f32, bf16 or f16 |
//! | `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja` (or `.json`) | see [`crate::tokenizer`] |
//! | `generation_config.json` | default sampling and end tokens, optional |
//! | `preprocessor_config.json` | how pictures become patches, for models that look at them |
//! | `system_prompt.md` | the words the model was trained with, optional |

mod folder;
mod generation_config;
mod safetensors;
mod tensors;

pub use self::folder::{LoadedModel, ModelFolder, VisionFolder, load_folder};
pub(crate) use self::folder::{read_if_there, read_json, read_json_if_there};
pub use self::generation_config::SuggestedSampling;
pub use self::safetensors::{SafetensorsFile, Weights};
pub(crate) use self::tensors::transpose;
