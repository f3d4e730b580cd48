//! Devices by name, chosen at run time.

use burn::tensor::Tensor;

pub use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "tch"))]
use burn::tensor::DeviceType;

use crate::error::{ModelError, Result};
use crate::qwen3::cpu::Precision;

/// The device called `name`.
///
/// | name | device | cargo feature |
/// |---|---|---|
/// | `flex`, `cpu` | pure-Rust CPU | always there |
/// | `libtorch` | LibTorch on the CPU | `tch` |
/// | `libtorch:cuda:N` | LibTorch on GPU `N` | `tch` |
/// | `cuda`, `cuda:N` | CUDA GPU `N` | `cuda` |
///
/// Call [`Device::autodiff`] on the result to train.
///
/// # Errors
/// [`ModelError::Device`] for an unknown name, for a device whose feature was
/// not compiled in, and for a GPU that this machine does not have.
pub fn parse_device(name: &str) -> Result<Device> {
    let name = name.trim();
    let refuse = |reason: String| ModelError::Device {
        name: name.to_owned(),
        reason,
    };
    let (kind, index) = match name.rsplit_once(':') {
        Some((kind, index)) => {
            let index: usize = index
                .parse()
                .map_err(|_| refuse(format!("`{index}` is not a device number")))?;
            (kind, Some(index))
        }
        None => (name, None),
    };
    match (kind, index) {
        ("flex" | "cpu", None) => Ok(Device::flex()),
        ("cuda", index) => cuda(index.unwrap_or(0)).map_err(refuse),
        ("libtorch", None) => libtorch(None).map_err(refuse),
        ("libtorch:cuda", index) => libtorch(Some(index.unwrap_or(0))).map_err(refuse),
        _ => Err(refuse(
            "unknown; use flex, libtorch, libtorch:cuda:N or cuda:N".to_owned(),
        )),
    }
}

/// The device called `name` and the numbers of the weights, which may follow it:
/// `cuda:0:bf16`, `flex:bf16`, and on the CPU alone `flex:int8`; exact (f32 on
/// other devices) when they do not.
///
/// # Errors
/// [`ModelError::Device`] as for [`parse_device`], for an unknown suffix, and
/// for `int8` on a device other than `flex`.
pub fn parse_device_and_precision(name: &str) -> Result<(Device, Precision)> {
    let name = name.trim();
    let refuse = |reason: String| ModelError::Device {
        name: name.to_owned(),
        reason,
    };
    let Some((device, suffix)) = name.rsplit_once(':') else {
        return Ok((parse_device(name)?, Precision::Exact));
    };
    let precision = Precision::from_name(suffix);
    match (device, precision) {
        ("flex" | "cpu", Some(precision)) => Ok((parse_device(device)?, precision)),
        ("flex" | "cpu", None) => Err(refuse(format!(
            "`{suffix}` is no choice of weights; use flex, flex:bf16 or flex:int8"
        ))),
        (_, Some(Precision::Int8)) => Err(refuse(format!(
            "weights as `{suffix}` are for the CPU alone; use flex:{suffix}, or {device}:bf16"
        ))),
        (_, Some(precision)) => Ok((parse_device(device)?, precision)),
        (_, None) => Ok((parse_device(name)?, Precision::Exact)),
    }
}

/// The values of `tensor`, row-major, off its device.
///
/// # Errors
/// [`ModelError::Device`] when the device failed.
pub(crate) fn read_f32<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let device = tensor.device();
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| ModelError::Device {
            name: format!("{device:?}"),
            reason: error.to_string(),
        })
}

/// A device, or why there is none.
type Found = std::result::Result<Device, String>;

/// The GPU, if it is one of those that this machine has: burn panics later
/// when it is not.
#[cfg(any(feature = "cuda", feature = "tch"))]
fn present(device: Device, kind: DeviceType) -> Found {
    let found = Device::enumerate(kind).into_vec();
    match found.contains(&device) {
        true => Ok(device),
        false => Err(format!("no such GPU; {} can be used here", found.len())),
    }
}

/// The number of the GPU that `device` is.
#[cfg(any(feature = "cuda", feature = "tch"))]
#[cfg_attr(
    feature = "tch",
    expect(
        deprecated,
        reason = "users asked for LibTorch; burn has it until version 0.23"
    )
)]
pub(crate) fn gpu_number(device: &Device) -> Option<usize> {
    /// More than a machine has.
    const MOST: usize = 64;
    (0..MOST).find(|&number| {
        #[cfg(feature = "cuda")]
        if *device == Device::cuda(number) {
            return true;
        }
        #[cfg(feature = "tch")]
        if *device == Device::libtorch_cuda(number) {
            return true;
        }
        false
    })
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Found {
    present(Device::cuda(index), DeviceType::Cuda)
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Found {
    Err("support was not compiled in; build with `--features cuda`".to_owned())
}

#[cfg(feature = "tch")]
#[expect(
    deprecated,
    reason = "users asked for LibTorch; burn has it until version 0.23"
)]
fn libtorch(cuda: Option<usize>) -> Found {
    match cuda {
        Some(index) => present(Device::libtorch_cuda(index), DeviceType::LibTorch),
        None => Ok(Device::libtorch()),
    }
}

#[cfg(not(feature = "tch"))]
fn libtorch(_cuda: Option<usize>) -> Found {
    Err(
        "support was not compiled in; run `cargo xtask setup-libtorch` and build with \
         `--features tch`"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_names_give_a_device() {
        assert_eq!(parse_device("flex").unwrap(), Device::flex());
        assert_eq!(parse_device(" cpu ").unwrap(), Device::flex());
    }

    #[test]
    fn unknown_names_are_refused_with_the_name() {
        for name in ["", "gpu", "flex:0", "cuda:x", "libtorch:metal:0", "cuda:-1"] {
            let error = parse_device(name).unwrap_err();
            assert_eq!(error.code(), "model_device_unavailable", "{name}");
            assert!(error.to_string().contains(name));
        }
    }

    #[test]
    fn a_cpu_may_name_its_weights_and_mistakes_are_explained() {
        for (name, precision) in [
            ("flex", Precision::Exact),
            ("cpu:exact", Precision::Exact),
            ("flex:bf16", Precision::Bf16),
            (" flex:int8 ", Precision::Int8),
        ] {
            let parsed = parse_device_and_precision(name).unwrap();
            assert_eq!(parsed, (Device::flex(), precision), "{name}");
        }
        for (name, says) in [
            ("flex:int4", "flex:int8"),
            ("flex:0", "`0` is no choice of weights"),
            ("cuda:0:int8", "CPU alone"),
            ("libtorch:int8", "libtorch:bf16"),
            ("gpu", "unknown"),
            ("gpu:1", "unknown"),
        ] {
            let error = parse_device_and_precision(name).unwrap_err();
            assert_eq!(error.code(), "model_device_unavailable", "{name}");
            assert!(error.to_string().contains(says), "{name}: {error}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_built_in_says_which_feature_builds_it() {
        let error = parse_device("cuda:1").unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
    }

    #[cfg(not(feature = "tch"))]
    #[test]
    fn libtorch_names_its_feature() {
        let error = parse_device("libtorch").unwrap_err().to_string();
        assert!(error.contains("--features tch"), "{error}");
    }

    #[cfg(any(feature = "cuda", feature = "tch"))]
    #[test]
    fn a_gpu_that_is_not_there_is_refused_before_anything_uses_it() {
        let names = [
            #[cfg(feature = "cuda")]
            "cuda:97",
            #[cfg(feature = "tch")]
            "libtorch:cuda:97",
        ];
        for name in names {
            let error = parse_device(name).unwrap_err();
            assert_eq!(error.code(), "model_device_unavailable", "{name}");
            assert!(error.to_string().contains("no such GPU"), "{error}");
        }
    }
}
