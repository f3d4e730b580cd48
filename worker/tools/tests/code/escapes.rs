//! Programs that look for what is not theirs: files, secrets, processes,
//! network, the state of another program.

use crate::harness::{assert_drawn, draw, run, said, tool, workspace};

/// Python that says what reading each path gives.
fn read(paths: &[&str]) -> String {
    format!(
        "for path in {paths:?}:\n    try: say('READ', path, open(path, 'rb').read(40))\n    \
         except OSError as error: say(error.__class__.__name__)"
    )
}

#[tokio::test]
async fn host_files_are_not_there() {
    let repository = workspace().join("Cargo.toml");
    let words = said(&read(&[
        "/etc/passwd",
        "/etc/shadow",
        "/etc/hostname",
        "/root/.bashrc",
        "/root/.profile",
        "/home",
        repository.to_str().unwrap(),
        "/var/lib/dpkg/status",
        "/usr/bin/env",
        "/sys/kernel/notes",
        "/dev/mem",
        "/dev/vda",
    ]))
    .await;
    assert!(!words.contains("READ /"), "{words}");
}

#[tokio::test]
async fn the_root_holds_libraries_and_scratch_folders_only() {
    let words =
        said("import os\nsay(*sorted(os.listdir('/')))\nsay(*sorted(os.listdir('/dev')))").await;
    let mut folders = words.split(['|', ' ']);
    assert!(
        folders.all(|folder| [
            "dev", "etc", "lib", "lib64", "python", "site", "site64", "tmp", "usr", "null",
            "random", "shm", "urandom", "zero"
        ]
        .contains(&folder)),
        "{words}"
    );
    let words = said("import os\nsay(*os.listdir('/etc') if os.path.exists('/etc') else ())").await;
    assert!(words.is_empty() || words == "ld.so.cache", "{words}");
}

#[tokio::test]
async fn no_path_of_this_machine_is_known_inside() {
    let words = said(
        "import sys\nsay(sys.prefix, sys.executable, *sys.path, np.__file__, *sys.argv)\n\
         try: np.zeros((2, 2)) @ np.zeros(3)\n\
         except ValueError as error:\n    import traceback\n    say(traceback.format_exc())",
    )
    .await;
    for part in [
        "/home",
        "/root",
        "/opt",
        workspace().to_str().unwrap(),
        "pyenv",
    ] {
        assert!(!words.contains(part), "{part} in {words}");
    }
}

#[tokio::test]
async fn the_environment_and_proc_hold_no_secret() {
    // SAFETY: the test has started no thread that reads the environment.
    unsafe { std::env::set_var("ILLUMINE_S3_SECRET_KEY", "hunter2-do-not-leak") };
    let words = said(&format!(
        "import os, glob\nsay(sorted(os.environ))\nsay(os.environ)\nsay(glob.glob('/proc/*'))\n{}",
        read(&[
            "/proc/1/environ",
            "/proc/self/environ",
            "/proc/self/cmdline",
            "/proc/1/cmdline",
            "/proc/self/mountinfo",
            "/proc/cmdline",
            "/proc/self/maps",
        ])
    ))
    .await;
    assert!(
        !words.contains("hunter2") && !words.contains("SECRET"),
        "{words}"
    );
    assert!(!words.contains("READ /"), "{words}");
    assert!(words.contains("|[]|"), "/proc is not empty: {words}");
}

#[tokio::test]
async fn a_server_on_loopback_cannot_be_reached() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let port = server.local_addr().unwrap().port();
    let words = said(&format!(
        "import socket, urllib.request\n\
         for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16, 17, 40):\n    \
             try:\n        socket.socket(family, socket.SOCK_STREAM)\n        say('OPEN', family)\n    \
             except OSError: say('closed')\n\
         try: socket.create_connection(('127.0.0.1', {port}), 2); say('OPEN')\n\
         except OSError: say('closed')\n\
         try: urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=2); say('OPEN')\n\
         except OSError: say('closed')\n\
         try: socket.socketpair(); say('OPEN')\nexcept OSError: say('closed')"
    ))
    .await;
    assert!(
        !words.contains("OPEN") && words.contains("closed"),
        "{words}"
    );
    let accepted = server.accept().unwrap_err();
    assert_eq!(accepted.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn no_other_program_can_be_started() {
    let words = said(
        "import os, subprocess, multiprocessing\n\
         def attempt(name, act):\n    try: act(); say('DONE', name)\n    \
             except (OSError, RuntimeError) as error: say('refused')\n\
         attempt('fork', os.fork)\n\
         attempt('subprocess', lambda: subprocess.run(['/python/bin/python3', '-c', '']))\n\
         attempt('system', lambda: os.system('true') == 0 or (_ for _ in ()).throw(OSError()))\n\
         attempt('spawn', lambda: os.posix_spawn('/usr/bin/true', ['true'], {}))\n\
         import sys\nattempt('exec', lambda: os.execv(sys.executable, ['python', '-V']))\n\
         attempt('process', lambda: multiprocessing.Process(target=print).start())",
    )
    .await;
    assert_eq!(words, ["refused"; 6].join("|"));
}

#[tokio::test]
async fn dangerous_system_calls_are_refused() {
    // Numbers are those of this processor; arguments are harmless.
    let calls = [
        ("ptrace", libc::SYS_ptrace),
        ("mount", libc::SYS_mount),
        ("umount2", libc::SYS_umount2),
        ("unshare", libc::SYS_unshare),
        ("setns", libc::SYS_setns),
        ("pivot_root", libc::SYS_pivot_root),
        ("chroot", libc::SYS_chroot),
        ("keyctl", libc::SYS_keyctl),
        ("add_key", libc::SYS_add_key),
        ("bpf", libc::SYS_bpf),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("memfd_create", libc::SYS_memfd_create),
        ("shmget", libc::SYS_shmget),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("kill", libc::SYS_kill),
        ("setuid", libc::SYS_setuid),
        ("clone3", libc::SYS_clone3),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ];
    for (name, number) in &calls {
        // The same call is possible or fails otherwise outside the sandbox;
        // inside, the filter answers before the kernel looks at arguments.
        assert!(*number >= 0, "{name}");
    }
    let words = said(&format!(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
         for name, number in {}:\n    ctypes.set_errno(0)\n    \
         result = libc.syscall(number, 0, 0, 0, 0, 0)\n    \
         say(name, result, ctypes.get_errno())\n\
         fork_flags = 17\nsay('clone', libc.syscall({}, fork_flags, 0, 0, 0, 0), ctypes.get_errno())",
        python_list(&calls),
        libc::SYS_clone
    ))
    .await;
    for word in words.split('|') {
        let refusal = if word.starts_with("clone3") {
            "-1 38"
        } else {
            "-1 1"
        };
        assert!(word.ends_with(refusal), "{word}");
    }
    assert_eq!(words.split('|').count(), calls.len() + 1);
}

fn python_list(calls: &[(&str, i64)]) -> String {
    let items: Vec<String> = calls.iter().map(|(n, c)| format!("('{n}', {c})")).collect();
    format!("[{}]", items.join(", "))
}

#[tokio::test]
async fn nothing_outside_scratch_can_be_written() {
    let words = said(
        "import os, sys, ctypes\n\
         places = [os.__file__, np.__file__, sys.executable, '/x', '/dev/x', '/usr/lib/x', \
                   '/site/sitecustomize.py', '/python/x', '/etc/x']\n\
         for place in places:\n    try: open(place, 'ab'); say('WRITTEN', place)\n    \
         except OSError: say('refused')\n\
         try: os.chmod(np.__file__, 0o777); say('WRITTEN')\nexcept OSError: say('refused')\n\
         try: os.unlink(np.__file__); say('WRITTEN')\nexcept OSError: say('refused')",
    )
    .await;
    assert_eq!(words, ["refused"; 11].join("|"));
}

#[tokio::test]
async fn it_is_alone_without_rights_and_does_not_know_the_host() {
    let words =
        said("import os\nsay(os.getpid(), os.getppid(), os.getuid(), os.uname().nodename)").await;
    assert_eq!(words, "1 0 65534 sandbox");
}

#[tokio::test]
async fn parents_cannot_be_killed() {
    let tool = tool().await;
    let error = run(
        &tool,
        "import os, signal\nwords = []\n\
         for target in (0, -1, 1, 2, os.getppid()):\n    \
             try: os.kill(target, signal.SIGKILL); words.append('SENT')\n    \
             except OSError: words.append('refused')\n\
         try: os.killpg(0, signal.SIGKILL); words.append('SENT')\n\
         except OSError: words.append('refused')\nraise RuntimeError(' '.join(words))",
    )
    .await
    .unwrap_err();
    assert!(
        error.to_string().contains(&["refused"; 6].join(" ")),
        "{error}"
    );
    assert_drawn(&run(&tool, "plt.plot([1, 2])").await.unwrap());
}

#[tokio::test]
async fn a_program_leaves_nothing_to_the_next() {
    let tool = tool().await;
    let spoil = "import builtins, os\nopen('/tmp/left', 'w').write('x')\n\
         open('/dev/shm/left', 'w').write('x')\nbuiltins.left = 1\nnp.pi = 3\n\
         plt.rcParams['figure.figsize'] = (2, 2)\npd.DataFrame = None\n\
         plt.Figure.savefig = None\nplt.plot([1, 2])";
    assert_drawn(&run(&tool, spoil).await.unwrap());
    let look = "import builtins, os\nassert not os.path.exists('/tmp/left')\n\
         assert not os.path.exists('/dev/shm/left')\nassert not hasattr(builtins, 'left')\n\
         assert np.pi > 3.1 and pd.DataFrame is not None\nplt.plot([1, 2])";
    let image = run(&tool, look).await.unwrap();
    assert_drawn(&image);
    assert!(image.picture.width > 900);
}

#[tokio::test]
async fn a_forged_answer_must_still_be_a_picture() {
    let forged = "import os\nfor fd in range(3, 100):\n    try: os.write(fd, b'31\\n' + \
         b'{\"status\": \"drawn\", \"bytes\": 25}' + b'<svg onload=\"alert(1)\"/>__')\n    \
         except OSError: pass\nplt.plot([1, 2])";
    let error = draw(forged).await.unwrap_err();
    assert!(!error.to_string().contains("svg"), "{error}");
    assert!(
        !error.is_transient() || error.code() == "sandbox_lost",
        "{error}"
    );
}
