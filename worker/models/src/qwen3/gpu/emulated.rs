//! The kernels compiled as C, on the CPU: what they compute, not how fast.

use std::cell::RefCell;
use std::ffi::{CString, c_int, c_uint, c_void};
use std::path::Path;
use std::process::Command;
use std::ptr;

use super::arguments::Arguments;
use super::machine::{KERNELS, Kernel, Machine};
use crate::error::{ModelError, Result};

type Run = unsafe extern "C" fn(*const c_void, *const c_uint, c_uint, c_int) -> c_int;

/// A CPU that runs a block's threads by turns.
pub(super) struct Emulated {
    /// Whether a block's threads have their turns from the last to the first.
    pub(super) backwards: bool,
    /// Whether keys and values stay f32.
    pub(super) exact_cache: bool,
    pub(super) launched: RefCell<Vec<Kernel>>,
}

pub(super) struct Compiled {
    library: *mut c_void,
    run: Vec<Run>,
    _dir: tempfile::TempDir,
}

/// Memory whose next byte may not be touched.
pub(super) struct Guarded {
    start: *mut c_void,
    mapped: usize,
    address: u64,
    bytes: usize,
}

impl Guarded {
    pub(super) fn new(bytes: usize) -> Self {
        const PAGE: usize = 4096;
        // A GPU's addresses are multiples of 16 and more, which wide reads need.
        let bytes = bytes.next_multiple_of(16);
        let pages = bytes.next_multiple_of(PAGE);
        let mapped = pages + PAGE;
        // SAFETY: new memory, whose last page becomes the guard.
        let start = unsafe {
            let start = libc::mmap(
                ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(start, libc::MAP_FAILED);
            let guard = start.byte_add(pages);
            assert_eq!(libc::mprotect(guard, PAGE, libc::PROT_NONE), 0);
            start
        };
        Self {
            start,
            mapped,
            address: start as u64 + (pages - bytes) as u64,
            bytes,
        }
    }

    /// Memory with `values`.
    pub(super) fn of<T: Copy>(values: &[T]) -> Self {
        let mut memory = Self::new(size_of_val(values));
        memory.slice_mut::<T>()[..values.len()].copy_from_slice(values);
        memory
    }

    pub(super) fn address(&self) -> u64 {
        self.address
    }

    pub(super) fn slice<T: Copy>(&self) -> &[T] {
        // SAFETY: these bytes are ours, and any are a number.
        unsafe { std::slice::from_raw_parts(self.address as *const T, self.bytes / size_of::<T>()) }
    }

    fn slice_mut<T: Copy>(&mut self) -> &mut [T] {
        // SAFETY: as in `slice`.
        unsafe {
            std::slice::from_raw_parts_mut(self.address as *mut T, self.bytes / size_of::<T>())
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: this was mapped in `new`.
        unsafe { libc::munmap(self.start, self.mapped) };
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: it was opened in `compile`.
        unsafe { libc::dlclose(self.library) };
    }
}

fn refuse(reason: impl Into<String>) -> ModelError {
    ModelError::Device {
        name: "emulated".to_owned(),
        reason: reason.into(),
    }
}

impl Machine for Emulated {
    type Kernels = Compiled;
    type Memory = Guarded;

    fn compile(&self, constants: &[(&str, String)]) -> Result<Compiled> {
        let dir = tempfile::tempdir().map_err(|error| refuse(error.to_string()))?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/qwen3/gpu");
        let object = dir.path().join("step.so");
        let mut compiler = Command::new("cc");
        // It is CUDA that C compilers warn of.
        compiler.args(["-O2", "-std=gnu11", "-w"]);
        // Some compilers check jumps by themselves, and take one between stacks for a mistake.
        compiler.arg("-U_FORTIFY_SOURCE");
        compiler.args(["-x", "c", "-shared", "-fPIC", "-DEMULATED", "-I"]);
        compiler.arg(&source);
        for (name, value) in constants {
            compiler.arg(format!("-D{name}={value}"));
        }
        if self.exact_cache {
            compiler.arg("-DEXACT_CACHE");
        }
        compiler.arg(source.join("step.cu"));
        compiler.arg("-o").arg(&object).arg("-lm");
        let done = compiler
            .output()
            .map_err(|error| refuse(error.to_string()))?;
        if !done.status.success() {
            return Err(refuse(String::from_utf8_lossy(&done.stderr)));
        }
        let path = CString::new(object.to_string_lossy().as_bytes()).unwrap();
        // SAFETY: the library does nothing when it is opened, and its functions are as
        // `KERNEL` in `emulated.h` makes them.
        unsafe {
            let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            assert!(!library.is_null());
            let run = KERNELS.map(|name| {
                let name = CString::new(name).unwrap();
                let found = libc::dlsym(library, name.as_ptr());
                assert!(!found.is_null(), "{name:?}");
                std::mem::transmute::<*mut c_void, Run>(found)
            });
            Ok(Compiled {
                library,
                run: run.to_vec(),
                _dir: dir,
            })
        }
    }

    fn allocate(&self, bytes: usize) -> Result<Guarded> {
        Ok(Guarded::new(bytes))
    }

    fn address(memory: &Guarded) -> u64 {
        memory.address()
    }

    fn write(&self, memory: &mut Guarded, bytes: &[u8]) -> Result<()> {
        memory.slice_mut::<u8>()[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, memory: &Guarded, count: usize) -> Result<Vec<f32>> {
        Ok(memory.slice::<f32>()[..count].to_vec())
    }

    unsafe fn launch(
        &self,
        kernels: &Compiled,
        kernel: Kernel,
        grid: [u32; 3],
        threads: u32,
        arguments: &Arguments,
    ) -> Result<()> {
        let run = kernels.run[kernel as usize];
        let arguments = ptr::from_ref(arguments).cast();
        self.launched.borrow_mut().push(kernel);
        // SAFETY: the caller promises the addresses.
        match unsafe { run(arguments, grid.as_ptr(), threads, self.backwards.into()) } {
            0 => Ok(()),
            status => Err(refuse(format!("{kernel:?}: {status}"))),
        }
    }
}
