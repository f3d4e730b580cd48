//! Numbers that are too small to be normal, taken for zero.
//!
//! A product with a subnormal number costs a CPU over a hundred times that of another, and
//! gradients of a model that has learnt something are full of them: GELU's slope far below
//! zero, a gate that is shut, a probability of next to nothing. They change no result that is
//! looked at. PyTorch has the same switch (`torch.set_flush_denormal`).

/// Takes subnormal numbers for zero, before and after each operation, in this thread and in
/// all that it starts from now on. To be called before a program starts its first thread.
///
/// Nothing happens on processors other than x86-64 and AArch64.
pub fn flush() {
    #[cfg(target_arch = "x86_64")]
    {
        /// Flush to zero, and denormals are zero.
        const BITS: u32 = 1 << 15 | 1 << 6;
        let mut control = 0_u32;
        // SAFETY: stores this thread's control word of vector instructions where it has room,
        // and loads it with two bits set that say what becomes of subnormal numbers.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack));
            control |= BITS;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, readonly));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        /// FZ.
        const BIT: u64 = 1 << 24;
        let mut control: u64;
        // SAFETY: sets the bit of this thread's control register that says what becomes of
        // subnormal numbers.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack));
            control |= BIT;
            std::arch::asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack));
        }
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use std::hint::black_box;

    fn half_of_the_least() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    #[test]
    fn a_thread_and_those_that_it_starts_take_them_for_zero() {
        assert!(half_of_the_least() > 0.0);
        // In a thread of its own: others of this process go on as they were.
        let flushed = std::thread::spawn(|| {
            super::flush();
            let started = std::thread::spawn(half_of_the_least);
            (half_of_the_least(), started.join())
        });
        let (own, started) = flushed.join().unwrap();
        assert_eq!((own, started.unwrap()), (0.0, 0.0));
        assert!(half_of_the_least() > 0.0);
    }
}
