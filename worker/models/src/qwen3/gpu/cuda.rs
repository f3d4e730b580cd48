//! The kernels on an NVIDIA GPU: compiled by NVRTC, started by the driver, in the stream in
//! which LibTorch works, so that each sees what the other did before.

use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::ptr;

use cudarc::driver::sys::{CUdevice, CUdevice_attribute, CUdeviceptr, CUfunction, CUmodule};
use cudarc::driver::{DriverError, result, sys};
use cudarc::nvrtc::{self, CompileError, CompileOptions, compile_ptx_with_opts};

use super::arguments::Arguments;
use super::machine::{KERNELS, Kernel, Machine, SOURCE};
use crate::error::{ModelError, Result};

/// GPU `ordinal`, with the context that LibTorch uses too.
pub(super) struct Cuda {
    ordinal: usize,
    device: CUdevice,
    context: sys::CUcontext,
    /// Memory of the processor's that the GPU writes to by itself.
    landing: RefCell<Landing>,
}

#[derive(Default)]
struct Landing {
    address: Option<*mut c_void>,
    bytes: usize,
}

pub(super) struct Compiled {
    module: CUmodule,
    functions: Vec<CUfunction>,
}

pub(super) struct Memory {
    address: CUdeviceptr,
}

// SAFETY: addresses of a device and a context are of the process, not of a thread; the
// context is made current before each use.
unsafe impl Send for Cuda {}
// SAFETY: as above.
unsafe impl Send for Compiled {}

impl Cuda {
    /// The GPU of this number.
    ///
    /// # Errors
    /// [`ModelError::Device`] when there is none, no driver or no NVRTC.
    pub(super) fn new(ordinal: usize) -> Result<Self> {
        // Asked first: a library that is not there would be a panic.
        // SAFETY: both only look for their library.
        let (driver, compiler) =
            unsafe { (sys::is_culib_present(), nvrtc::sys::is_culib_present()) };
        for (is_there, name) in [(driver, "libcuda"), (compiler, "libnvrtc")] {
            if !is_there {
                return Err(ModelError::Device {
                    name: format!("cuda:{ordinal}"),
                    reason: format!("{name} was not found on the library path"),
                });
            }
        }
        let opened = || {
            result::init()?;
            let device = result::device::get(ordinal as i32)?;
            // SAFETY: the device was just found; `Drop` gives the context back.
            let context = unsafe { result::primary_ctx::retain(device) }?;
            Ok((device, context))
        };
        let (device, context) = opened().map_err(|error| refuse(ordinal, &error))?;
        Ok(Self {
            ordinal,
            device,
            context,
            landing: RefCell::default(),
        })
    }

    fn refuse(&self, error: &DriverError) -> ModelError {
        refuse(self.ordinal, error)
    }

    /// Makes the context this thread's.
    fn enter(&self) -> Result<()> {
        // SAFETY: it is retained while this lives.
        unsafe { result::ctx::set_current(self.context) }.map_err(|error| self.refuse(&error))
    }

    fn attribute(&self, attribute: CUdevice_attribute) -> Result<i32> {
        // SAFETY: the device was found in `new`.
        unsafe { result::device::get_attribute(self.device, attribute) }
            .map_err(|error| self.refuse(&error))
    }
}

fn refuse(ordinal: usize, error: &DriverError) -> ModelError {
    ModelError::Device {
        name: format!("cuda:{ordinal}"),
        reason: format!("{error:?}"),
    }
}

impl Machine for Cuda {
    type Kernels = Compiled;
    type Memory = Memory;

    fn compile(&self, constants: &[(&str, String)]) -> Result<Compiled> {
        use CUdevice_attribute::{
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        };
        let (major, minor) = (self.attribute(MAJOR)?, self.attribute(MINOR)?);
        let mut options = vec![format!("--gpu-architecture=compute_{major}{minor}")];
        options.extend(
            constants
                .iter()
                .map(|(name, value)| format!("-D{name}={value}")),
        );
        let options = CompileOptions {
            options,
            name: Some("step.cu".to_owned()),
            ..CompileOptions::default()
        };
        let ptx = compile_ptx_with_opts(SOURCE, options).map_err(|error| {
            let reason = match error {
                CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
                other => format!("{other:?}"),
            };
            ModelError::Device {
                name: format!("cuda:{}", self.ordinal),
                reason: format!("kernels were not compiled: {reason}"),
            }
        })?;
        let text = c_string(ptx.to_src())?;
        self.enter()?;
        let load = || {
            // SAFETY: the text ends with a zero.
            let module = unsafe { result::module::load_data(text.as_ptr().cast()) }?;
            let functions = KERNELS
                .iter()
                // SAFETY: the module was just loaded.
                .map(|name| unsafe {
                    let name = CString::new(*name).unwrap_or_default();
                    result::module::get_function(module, name)
                })
                .collect::<std::result::Result<_, _>>()?;
            Ok(Compiled { module, functions })
        };
        load().map_err(|error| self.refuse(&error))
    }

    fn allocate(&self, bytes: usize) -> Result<Memory> {
        self.enter()?;
        // SAFETY: the memory is new, and `Drop` gives it back.
        let memory = unsafe {
            result::malloc_sync(bytes).and_then(|address| {
                result::memset_d8_sync(address, 0, bytes)?;
                Ok(Memory { address })
            })
        };
        memory.map_err(|error| self.refuse(&error))
    }

    fn address(memory: &Memory) -> u64 {
        memory.address
    }

    fn write(&self, memory: &mut Memory, bytes: &[u8]) -> Result<()> {
        self.enter()?;
        // SAFETY: `Steps` writes no more than it allocated.
        unsafe { result::memcpy_htod_sync(memory.address, bytes) }
            .map_err(|error| self.refuse(&error))
    }

    fn read(&self, memory: &Memory, count: usize) -> Result<Vec<f32>> {
        self.enter()?;
        let mut landing = self.landing.borrow_mut();
        let from = landing
            .room_for(count * size_of::<f32>())
            .and_then(|address| {
                // SAFETY: there is room for as many numbers, which nobody else has; they
                // are read when all are there.
                unsafe {
                    let landed = std::slice::from_raw_parts_mut(address.cast::<f32>(), count);
                    result::memcpy_dtoh_async(landed, memory.address, result::stream::null())?;
                    result::stream::synchronize(result::stream::null())?;
                    Ok(landed)
                }
            });
        let landed = from.map_err(|error| self.refuse(&error))?;
        Ok(landed.to_vec())
    }

    unsafe fn launch(
        &self,
        kernels: &Compiled,
        kernel: Kernel,
        grid: [u32; 3],
        threads: u32,
        arguments: &Arguments,
    ) -> Result<()> {
        let function = kernels.functions[kernel as usize];
        let mut parameters = [ptr::from_ref(arguments).cast_mut().cast::<c_void>()];
        let [x, y, z] = grid;
        // SAFETY: the kernel takes one structure, which is copied before this returns; the
        // caller promises what is in it.
        let started = unsafe {
            let stream = result::stream::null();
            let block = (threads, 1, 1);
            result::launch_kernel(function, (x, y, z), block, 0, stream, &mut parameters)
        };
        started.map_err(|error| self.refuse(&error))
    }
}

impl Landing {
    fn room_for(&mut self, bytes: usize) -> std::result::Result<*mut c_void, DriverError> {
        if let Some(address) = self.address
            && bytes <= self.bytes
        {
            return Ok(address);
        }
        self.free();
        // SAFETY: `free` gives it back.
        let address = unsafe { result::malloc_host(bytes, 0) }?;
        (self.address, self.bytes) = (Some(address), bytes);
        Ok(address)
    }

    fn free(&mut self) {
        if let Some(address) = self.address.take() {
            // SAFETY: it came from `malloc_host`. What cannot be given back is lost.
            let _ = unsafe { result::free_host(address) };
        }
    }
}

fn c_string(text: String) -> Result<CString> {
    CString::new(text).map_err(|error| ModelError::Device {
        name: "cuda".to_owned(),
        reason: format!("kernels: {error}"),
    })
}

// What a driver refuses to take back is lost with the process: nothing can be done about it.
impl Drop for Cuda {
    fn drop(&mut self) {
        self.landing.get_mut().free();
        // SAFETY: it was retained in `new`.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: it was loaded in `compile`.
        let _ = unsafe { result::module::unload(self.module) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated by `allocate`.
        let _ = unsafe { result::free_sync(self.address) };
    }
}
