//! The system calls that a program may make.
//!
//! Two filters (seccomp(2), Linux): one allows a list and answers the rest
//! with `EPERM`; one answers `ENOSYS` to newer calls for which libc has an
//! older way, `clone3` above all, whose flags a filter cannot see.

use super::Unavailable;

/// Filters as the kernel takes them, for the interpreter to install.
#[derive(Clone, Debug)]
pub(super) struct Filters {
    /// Number of the `seccomp` system call here.
    pub seccomp: i64,
    /// Arrays of `struct sock_filter`, hexadecimal, in the order of installing.
    pub programs: Vec<String>,
}

#[cfg(not(target_os = "linux"))]
pub(super) fn filters() -> Result<Filters, Unavailable> {
    Err(Unavailable::not_linux())
}

#[cfg(target_os = "linux")]
pub(super) fn filters() -> Result<Filters, Unavailable> {
    linux::filters().map_err(|error| {
        Unavailable::new(
            format!("no system call filter for this processor: {error}"),
            "run the worker on x86-64 or 64-bit ARM",
        )
    })
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op,
        SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    };

    use super::Filters;

    /// Calls allowed with any arguments.
    const ALLOWED: &[i64] = &[
        // files; what may be opened is the mount table's business
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_pwrite64,
        libc::SYS_openat,
        libc::SYS_close,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_statfs,
        libc::SYS_fstatfs,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
        libc::SYS_getcwd,
        libc::SYS_chdir,
        libc::SYS_mkdirat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_ftruncate,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_fadvise64,
        libc::SYS_flock,
        libc::SYS_fcntl,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_utimensat,
        libc::SYS_umask,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_pipe2,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        libc::SYS_sendfile,
        // memory
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        // threads and signals of the process itself
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_get_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        // what it may know
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_gettid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_getgroups,
        libc::SYS_getpgid,
        libc::SYS_getsid,
        libc::SYS_uname,
        libc::SYS_sysinfo,
        libc::SYS_times,
        libc::SYS_getrusage,
        libc::SYS_getcpu,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        // the second filter is installed under the first
        libc::SYS_seccomp,
    ];

    /// The older spellings that 64-bit ARM never had.
    #[cfg(target_arch = "x86_64")]
    const ALLOWED_OLD: &[i64] = &[
        libc::SYS_open,
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_access,
        libc::SYS_readlink,
        libc::SYS_mkdir,
        libc::SYS_rmdir,
        libc::SYS_unlink,
        libc::SYS_rename,
        libc::SYS_chmod,
        libc::SYS_dup2,
        libc::SYS_pipe,
        libc::SYS_poll,
        libc::SYS_select,
        libc::SYS_getpgrp,
        libc::SYS_time,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const ALLOWED_OLD: &[i64] = &[];

    /// Said not to exist, so that libc takes the older way.
    const ABSENT: &[i64] = &[
        libc::SYS_clone3,
        libc::SYS_openat2,
        libc::SYS_close_range,
        libc::SYS_copy_file_range,
        libc::SYS_membarrier,
        libc::SYS_get_mempolicy,
    ];

    pub fn filters() -> Result<Filters, BackendError> {
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        let absent = ABSENT.iter().map(|&call| (call, Vec::new())).collect();
        let absent = SeccompFilter::new(
            absent,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::ENOSYS as u32),
            arch,
        )?;
        let allowed = SeccompFilter::new(
            allowed()?,
            SeccompAction::Errno(libc::EPERM as u32),
            SeccompAction::Allow,
            arch,
        )?;
        let programs = [absent, allowed]
            .into_iter()
            .map(|filter| Ok(hexadecimal(&BpfProgram::try_from(filter)?)))
            .collect::<Result<_, BackendError>>()?;
        Ok(Filters {
            seccomp: libc::SYS_seccomp,
            programs,
        })
    }

    fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED
            .iter()
            .chain(ALLOWED_OLD)
            // Left to the other filter: the stricter answer of the two holds.
            .chain(ABSENT)
            .map(|&call| (call, Vec::new()))
            .collect();

        let thread = libc::CLONE_THREAD as u64;
        let namespaces = (libc::CLONE_NEWNS
            | libc::CLONE_NEWUSER
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP) as u64;
        let a_thread = when(0, Len::Qword, Op::MaskedEq(thread | namespaces), thread)?;
        rules.insert(libc::SYS_clone, vec![a_thread]);

        // Signals to itself, process 1 of its namespace: abort(), raise().
        let to_itself = when(0, Len::Dword, Op::Eq, 1)?;
        rules.insert(libc::SYS_tgkill, vec![to_itself]);

        // Limits may be read.
        let no_new_limit = when(2, Len::Qword, Op::Eq, 0)?;
        rules.insert(libc::SYS_prlimit64, vec![no_new_limit]);

        let names = [libc::PR_SET_NAME, libc::PR_GET_NAME];
        let names = names.map(|option| when(0, Len::Dword, Op::Eq, option as u64));
        rules.insert(
            libc::SYS_prctl,
            names.into_iter().collect::<Result<_, _>>()?,
        );

        // TCGETS, TIOCGWINSZ, FIOCLEX, FIONCLEX (asm-generic/ioctls.h):
        // isatty, window size, close-on-exec.
        let requests = [0x5401, 0x5413, 0x5451, 0x5450];
        let requests = requests.map(|request| when(1, Len::Dword, Op::Eq, request));
        rules.insert(
            libc::SYS_ioctl,
            requests.into_iter().collect::<Result<_, _>>()?,
        );
        Ok(rules)
    }

    fn when(argument: u8, length: Len, op: Op, value: u64) -> Result<SeccompRule, BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(argument, length, op, value)?])
    }

    /// `struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; }`, linux/filter.h.
    fn hexadecimal(program: &BpfProgram) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(program.len() * 16);
        for instruction in program {
            let bytes = instruction
                .code
                .to_ne_bytes()
                .into_iter()
                .chain([instruction.jt, instruction.jf])
                .chain(instruction.k.to_ne_bytes());
            for byte in bytes {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
        text
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn dangerous_calls_are_in_no_list() {
            let listed: Vec<i64> = ALLOWED.iter().chain(ALLOWED_OLD).copied().collect();
            for call in [
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_ptrace,
                libc::SYS_mount,
                libc::SYS_unshare,
                libc::SYS_setns,
                libc::SYS_socket,
                libc::SYS_socketpair,
                libc::SYS_connect,
                libc::SYS_kill,
                libc::SYS_keyctl,
                libc::SYS_bpf,
                libc::SYS_perf_event_open,
                libc::SYS_io_uring_setup,
                libc::SYS_userfaultfd,
                libc::SYS_memfd_create,
                libc::SYS_shmget,
                libc::SYS_process_vm_writev,
            ] {
                assert!(!listed.contains(&call), "system call {call}");
            }
        }

        #[test]
        fn filters_are_whole_instructions_within_the_kernels_limit() {
            let filters = filters().unwrap();
            assert_eq!(filters.programs.len(), 2);
            for program in filters.programs {
                assert_eq!(program.len() % 16, 0);
                // BPF_MAXINSNS
                assert!(program.len() / 16 < 4096);
            }
        }
    }
}
