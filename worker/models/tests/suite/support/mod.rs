//! The device that the parity tests run on.

use illumine_models::device::{Device, parse_device};

/// `ILLUMINE_PARITY_DEVICE`, a name that [`parse_device`] knows; `flex` when it
/// is not set. `cargo xtask test-libtorch` sets it.
pub fn device() -> Device {
    let name = std::env::var("ILLUMINE_PARITY_DEVICE").unwrap_or_else(|_| "flex".to_owned());
    parse_device(&name).unwrap()
}
