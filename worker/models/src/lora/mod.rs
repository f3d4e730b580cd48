//! Low-rank adapters (LoRA) in the layout of `peft`, over any model here.
//!
//! Source: Hu et al., *LoRA* (arXiv:2106.09685), §4.1: a projection `y = W x`
//! becomes `y = W x + scale · B (A x)`; Kalajdzievski, *rsLoRA*
//! (arXiv:2312.03732) for the other scale. The files are those of `peft` 0.21:
//! `tuners/lora/config.py` (fields), `tuners/tuners_utils.py`
//! (`check_target_module_exists`), `utils/other.py` (`get_pattern_key`),
//! `utils/save_and_load.py` (names of tensors) and `tuners/lora/layer.py`
//! (`update_layer`, `Linear.forward`).
//!
//! ```text
//! adapter_config.json ──config──▶ rank, scale and modules ─┐
//! adapter_model.safetensors ──────────────────────────────┴─adapter──▶ factors
//!                                          base + factors ──attach──▶ a module with a LoraAdapter
//!                                                   └────────────────▶ CpuAdapter, for its decode step
//! ```
//!
//! The base's weights are never changed, nor copied: a module with an adapter
//! shares them, so that many adapters of one base are in memory at once and a
//! request chooses among them ([`Registry`]). Training attaches fresh
//! `burn::module::LoraAdapter`s to [`Linear::lora`] in the same way.
//!
//! Read in this order: [`linear`], [`config`], [`target`], [`adapter`],
//! [`attach`], [`registry`].

pub mod adapter;
pub mod attach;
pub mod config;
pub mod linear;
pub mod registry;
pub mod target;

pub use adapter::{Adapter, Factors, Site};
pub use attach::{Adaptable, attach, open, sites};
pub(crate) use attach::{old_name, projections, sites_of};
pub use config::LoraConfig;
pub use linear::Linear;
pub use registry::{AdapterId, Loaded, Registry};
