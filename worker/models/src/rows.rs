//! Loops over rows of numbers, compiled for each instruction set.

/// Compiles `$body` for each instruction set and runs the best.
macro_rules! on_best {
    ($(#[$note:meta])* $seen:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$note])*
        $seen fn $name($($argument: $kind),*) {
            #[inline(always)]
            fn plain($($argument: $kind),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            fn avx512($($argument: $kind),*) {
                plain($($argument),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $kind),*) {
                plain($($argument),*);
            }
            match *$crate::qwen3::cpu::kernel::ISA {
                // SAFETY: it was found on this machine.
                #[cfg(target_arch = "x86_64")]
                $crate::qwen3::cpu::kernel::Isa::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: it was found on this machine.
                #[cfg(target_arch = "x86_64")]
                $crate::qwen3::cpu::kernel::Isa::Avx2 => unsafe { avx2($($argument),*) },
                $crate::qwen3::cpu::kernel::Isa::Baseline => plain($($argument),*),
            }
        }
    };
}
pub(crate) use on_best;

/// A sum in sixteen lanes, which the compiler keeps in registers.
#[inline(always)]
pub(crate) fn sum(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (lanes, rest) = numbers.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for chunk in lanes {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += of(x);
        }
    }
    fold(sums, |a, b| a + b) + rest.iter().map(|&x| of(x)).sum::<f32>()
}

/// One number of sixteen, by halves: one after the other, each would wait for the last.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; 16], of: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = of(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}
