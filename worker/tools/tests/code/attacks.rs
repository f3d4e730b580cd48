//! Programs that try to use up the machine.

use std::time::{Duration, Instant};

use crate::harness::{assert_drawn, config, failure, run, said, tool, tool_with};
use illumine_tools::CodeConfig;

fn short(wall: u64) -> CodeConfig {
    CodeConfig {
        wall: Duration::from_secs(wall),
        ..config()
    }
}

#[tokio::test]
async fn a_fork_bomb_does_not_go_off() {
    let (code, message) = failure("import os\nwhile True: os.fork()").await;
    assert_eq!(code, "python_error");
    assert!(message.starts_with("line 2: PermissionError"), "{message}");
}

#[tokio::test]
async fn a_thread_bomb_is_stopped() {
    let program = "import threading, time\nthreading.stack_size(32768)\nwhile True:\n    \
         try: threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n    \
         except RuntimeError: pass";
    let started = Instant::now();
    let error = run(&*tool_with(short(20)).await, program)
        .await
        .unwrap_err();
    // As root by the watch; as another user the kernel refuses the threads.
    assert!(
        ["python_error", "tool_timeout"].contains(&error.code()),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn eight_gibibytes_are_not_to_be_had() {
    for program in [
        "block = np.ones(2**30)",
        "block = bytearray(8 * 2**30)",
        "rows = []\nwhile True: rows.append('x' * 10_000_000)",
        "import mmap\nblocks = [mmap.mmap(-1, 2**28) for _ in range(32)]",
    ] {
        let (code, message) = failure(program).await;
        assert!(
            code == "out_of_memory" || message.contains("Cannot allocate memory"),
            "{code}: {message}"
        );
    }
}

#[tokio::test]
async fn an_endless_loop_ends_with_the_time_limit() {
    let started = Instant::now();
    let tool = tool_with(short(2)).await;
    let ready = started.elapsed();
    let error = run(&tool, "while True: pass").await.unwrap_err();
    assert_eq!(error.code(), "tool_timeout");
    assert!(started.elapsed() - ready < Duration::from_secs(10));
    // One that ignores every signal and sleeps.
    let deaf = "import signal, time\nfor n in range(1, 32):\n    \
         try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\n\
         while True:\n    try: time.sleep(100)\n    except BaseException: pass";
    assert_eq!(run(&tool, deaf).await.unwrap_err().code(), "tool_timeout");
}

#[tokio::test]
async fn scratch_space_is_small() {
    let words = said(
        "import itertools\nfor folder in ('/tmp', '/dev/shm'):\n    written = 0\n    try:\n        \
         for number in itertools.count():\n            \
         with open(f'{folder}/{number}', 'wb') as file:\n                \
         for _ in range(8): written += file.write(bytes(2**20))\n    \
         except OSError as error: say(written >> 20, error.errno)",
    )
    .await;
    for word in words.split('|') {
        let (mebibytes, errno) = word.split_once(' ').unwrap();
        assert!(mebibytes.parse::<u64>().unwrap() <= 16, "{words}");
        assert_eq!(errno, "28", "{words}");
    }
    assert_eq!(words.split('|').count(), 2);
}

#[tokio::test]
async fn a_million_empty_files_are_not_made() {
    let (code, message) =
        failure("n = 0\nwhile True:\n    open(f'/tmp/{n}', 'w').close()\n    n += 1").await;
    assert_eq!(code, "python_error");
    assert!(message.contains("files"), "{message}");
}

#[tokio::test]
async fn a_flood_of_output_is_stopped() {
    for program in [
        "while True: print('x' * 100_000)",
        "import os\nwhile True: os.write(2, bytes(65536))",
    ] {
        let started = Instant::now();
        let (code, message) = failure(program).await;
        assert_eq!(code, "output_too_large", "{message}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn a_huge_figure_is_refused_in_words() {
    for size in ["(500, 500)", "(50000, 50000)", "(1e300, 5)"] {
        let program = format!("plt.figure(figsize={size}, dpi=100)\nplt.plot([1, 2])");
        let (code, message) = failure(&program).await;
        assert!(
            ["output_too_large", "python_error"].contains(&code),
            "{code}: {message}"
        );
    }
    let (code, message) = failure("plt.figure(figsize=(500, 500))\nplt.plot([1, 2])").await;
    assert_eq!(code, "output_too_large");
    assert!(message.contains("inches"), "{message}");
    // Small axes, a label far away.
    let far = "plt.plot([1, 2])\nplt.text(5e4, 1, 'far')";
    assert_eq!(failure(far).await.0, "output_too_large");
}

#[tokio::test]
async fn pixels_asked_for_at_once_run_out_of_memory() {
    let program =
        "fig = plt.figure(figsize=(500, 500), dpi=100)\nplt.plot([1, 2])\nfig.canvas.draw()";
    let (code, message) = failure(program).await;
    assert!(
        ["out_of_memory", "python_error"].contains(&code),
        "{code}: {message}"
    );
}

#[tokio::test]
async fn a_thousand_figures_are_bounded_and_the_next_program_runs() {
    let tool = tool_with(short(20)).await;
    let program = "for n in range(1000):\n    plt.figure()\nplt.plot([1, 2])";
    assert_drawn(&run(&tool, program).await.unwrap());
    let program = "for n in range(1000):\n    plt.subplots()[1].plot([1, 2])";
    match run(&tool, program).await {
        Ok(image) => drop(assert_drawn(&image)),
        Err(error) => assert!(
            ["tool_timeout", "out_of_memory"].contains(&error.code()),
            "{error}"
        ),
    }
    assert_drawn(&run(&tool, "plt.plot([1, 2])").await.unwrap());
}

#[tokio::test]
async fn deep_recursion_and_crashes_are_failures_of_the_program() {
    let tool = tool().await;
    for program in [
        "def f(): f()\nf()",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        "import ctypes\nctypes.string_at(0)",
        "import os\nos.abort()",
    ] {
        let error = run(&tool, program).await.unwrap_err();
        assert!(
            ["python_error", "out_of_memory", "tool_timeout"].contains(&error.code()),
            "{program}: {error}"
        );
    }
    assert_drawn(&run(&tool, "plt.plot([1, 2])").await.unwrap());
}
