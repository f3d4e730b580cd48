//! The pool: kept full, bounded, cancelled, and gone without a trace.

use std::time::Duration;

use crate::harness::{assert_drawn, config, run, tool, tool_with};
use illumine_tools::{CodeConfig, ImageTool, ToolContext, ToolError};
use illumine_types::tool::ToolRequest;

/// Waits for what must come to pass.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("in two minutes, not: {what}");
}

/// Live and dead children of this process: number and state.
fn children() -> Vec<(u32, char)> {
    let me = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // pid (name) state parent …
        let mut rest = stat.rsplit(')').next().unwrap().split_whitespace();
        let state = rest.next().unwrap().chars().next().unwrap();
        if rest.next() == Some(me.as_str()) {
            found.push((pid, state));
        }
    }
    found
}

#[tokio::test]
async fn the_pool_fills_refills_and_ends_with_the_tool() {
    let tool = tool_with(CodeConfig {
        pool: 1,
        ..config()
    })
    .await;
    // The first sandbox, and one kept warm.
    until("two are warm", || tool.idle() == 2).await;
    assert_eq!(children().len(), 2);
    for _ in 0..3 {
        assert_drawn(&run(&tool, "plt.plot([1, 2])").await.unwrap());
    }
    until("one is warm", || tool.idle() == 1).await;
    until("the used ones are gone", || children().len() == 1).await;
    drop(tool);
    until("all are gone, and none is a zombie", || {
        children().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_sandbox_that_died_while_it_waited_is_passed_over() {
    let tool = tool_with(CodeConfig {
        pool: 1,
        ..config()
    })
    .await;
    until("two are warm", || tool.idle() == 2).await;
    for (pid, _) in children() {
        // SAFETY: a child of this test.
        unsafe { libc::kill(i32::try_from(pid).unwrap(), libc::SIGKILL) };
    }
    assert_drawn(&run(&tool, "plt.plot([1, 2])").await.unwrap());
}

#[tokio::test]
async fn a_sandbox_killed_under_a_program_is_tried_again_once() {
    let tool = tool().await;
    let request = ToolRequest::Code {
        code: "import time\ntime.sleep(3)\nplt.plot([1, 2])".to_owned(),
    };
    let kill = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for (pid, _) in children() {
            // SAFETY: a child of this test.
            unsafe { libc::kill(i32::try_from(pid).unwrap(), libc::SIGKILL) };
        }
    };
    let context = ToolContext::default();
    let (image, ()) = tokio::join!(tool.run(&request, &context), kill);
    assert_eq!(image.unwrap().provenance.attempts, 2);
}

/// The interpreters inside this test's sandboxes.
fn interpreters() -> Vec<u32> {
    let inside = |(pid, _): (u32, char)| {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let list = list.unwrap_or_default();
        list.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect::<Vec<u32>>()
    };
    children().into_iter().flat_map(inside).collect()
}

/// Waits until nothing of the sandboxes is left, inside or out.
async fn until_gone(interpreters: &[u32]) {
    let lives = |pid: &u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    until("its processes are gone", || {
        children().is_empty() && !interpreters.iter().any(lives)
    })
    .await;
}

#[tokio::test]
async fn cancelling_stops_the_program_at_once() {
    let tool = tool().await;
    let context = ToolContext::default();
    let request = ToolRequest::Code {
        code: "while True: pass".to_owned(),
    };
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        context.cancel.cancel();
    };
    let interpreters = interpreters();
    assert_eq!(interpreters.len(), 1);
    let (result, ()) = tokio::join!(tool.run(&request, &context), cancel);
    assert!(matches!(result, Err(ToolError::Cancelled)));
    until_gone(&interpreters).await;
}

#[tokio::test]
async fn dropping_the_call_stops_the_program_too() {
    let tool = tool().await;
    let interpreters = interpreters();
    let call = run(&tool, "while True: pass");
    assert!(
        tokio::time::timeout(Duration::from_millis(500), call)
            .await
            .is_err()
    );
    until_gone(&interpreters).await;
}
