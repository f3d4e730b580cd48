//! From a prompt to text.
//!
//! [`LanguageModel::generate`] blocks and calls back with each piece of text.
//! A `LanguageModel` is shared between threads by reference; an async program
//! runs it on a blocking thread and sends the pieces through a channel:
//!
//! ```no_run
//! use std::{ops::ControlFlow, sync::{Arc, mpsc}};
//! use illumine_models::{device::parse_device, generate::*};
//!
//! # fn main() -> illumine_models::Result<()> {
//! let model = Arc::new(LanguageModel::load("model".as_ref(), &parse_device("flex")?)?);
//! let (sender, deltas) = mpsc::channel();
//! let cancel = CancelFlag::default();
//! let request = GenerationRequest::new(model.tokenizer().encode("Once")?);
//! let job = std::thread::spawn({
//!     let cancel = cancel.clone();
//!     move || model.generate(&request, &cancel, |delta| match sender.send(delta.to_owned()) {
//!         Ok(()) => ControlFlow::Continue(()),
//!         Err(_) => ControlFlow::Break(()), // nobody listens any more
//!     })
//! });
//! for delta in deltas {
//!     print!("{delta}");
//! }
//! # drop((job, cancel));
//! # Ok(())
//! # }
//! ```

mod language_model;
mod request;
mod session;
mod stop;
mod vision;
mod vision_module;
mod writer;

pub(crate) use language_model::Adapted;
pub use language_model::LanguageModel;
pub(crate) use language_model::Network;
pub use request::{CancelFlag, FinishReason, GenerationOutput, GenerationRequest};
pub(crate) use stop::{Passed, StopFilter};
pub(crate) use vision::VisionAdapted;
pub use vision::VisionLanguageModel;
pub(crate) use vision_module::{PromptReader, vision_module};
