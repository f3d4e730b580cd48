//! `illumine train --processes`: as a command, with processes that die.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const LONGEST: Duration = Duration::from_secs(240);

/// A run of short answers, whose worth is no matter.
fn train(folder: &Path, out: &str, processes: &str, steps: u32) -> Command {
    let worker = env!("CARGO_MANIFEST_DIR");
    let text = format!(
        "model = \"{worker}/models/demo-policy\"\n\
         dataset = [\"{worker}/datasets/demo/train.parquet\"]\n\
         [reward.weights]\ncount = 1.0\nllm = 0.0\nmllm = 0.0\n\
         [run]\nsteps = {steps}\nprompts_per_step = 3\ncheckpoint_every = 1000\n\
         [run.step]\nmost_excluded = 1.0\n\
         [run.step.sampling]\nsamples = 2\nmax_answer_tokens = 16\n"
    );
    let config = folder.join(format!("{out}.toml"));
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_illumine"));
    command
        .current_dir(folder)
        .env("ILLUMINE_DATA_DIR", folder.join("state"))
        .args(["train", "--device", "flex", "--processes", processes])
        .arg("--config")
        .arg(config)
        .arg("--out")
        .arg(folder.join(out))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn lines(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let line = |line: &str| serde_json::from_str(line).ok();
    text.lines().filter_map(line).collect()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONGEST, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The process that was started with a rank for the run in `out`.
fn other(out: &Path) -> Option<u32> {
    let out = out.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).into_owned();
            let arguments: Vec<&str> = command.split('\0').collect();
            arguments.contains(&out) && arguments.contains(&"--rank")
        })
        .find_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A run of two processes under way, and its second. It ends some day if nobody ends it.
fn under_way(folder: &Path) -> (Child, u32) {
    let mut child = train(folder, "run", "2", 2_000).spawn().unwrap();
    let out = folder.join("run");
    until("no step was made", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        !lines(&out).is_empty()
    });
    (child, other(&out).unwrap())
}

#[test]
fn two_processes_make_the_steps_of_one() {
    let folder = tempfile::tempdir().unwrap();
    for (out, processes) in [("one", "1"), ("two", "2")] {
        let ended = train(folder.path(), out, processes, 2).output().unwrap();
        let words = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{words}");
        assert!(
            folder
                .path()
                .join(out)
                .join("checkpoints/step-000002")
                .is_dir()
        );
    }
    let [one, two] = ["one", "two"].map(|out| lines(&folder.path().join(out)));
    assert_eq!((one.len(), two.len()), (2, 2));
    for (one, two) in one.iter().zip(&two) {
        for name in [
            "step",
            "answers",
            "excluded",
            "answer_tokens",
            "flat_groups",
        ] {
            assert_eq!(one[name], two[name], "{name}");
        }
    }
}

#[test]
fn a_run_ends_with_the_name_of_a_process_that_dies() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = under_way(folder.path());
    let kill = Command::new("kill")
        .args(["-9", &second.to_string()])
        .status();
    assert!(kill.unwrap().success());
    let ended = first.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{words}");
    assert!(
        words.contains("process 1") && words.contains("signal: 9"),
        "{words}"
    );
}

#[test]
fn no_process_outlives_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, _) = under_way(folder.path());
    first.kill().unwrap();
    first.wait().unwrap();
    let out = folder.path().join("run");
    until("the second lives on", || other(&out).is_none());
}
