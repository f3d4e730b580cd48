//! What a person reads when a program fails.

use crate::harness::{config, failure, python, run, tool_with};
use illumine_tools::{CodeConfig, CodeTool, ImageTool};

#[tokio::test]
async fn an_exception_names_its_line_and_shows_it() {
    let (code, message) = failure("x = [1, 2]\n\nplt.bar(x, heights)\nplt.show()").await;
    assert_eq!(code, "python_error");
    assert_eq!(
        message,
        "line 3: NameError: name 'heights' is not defined\n    plt.bar(x, heights)"
    );
}

#[tokio::test]
async fn an_exception_inside_a_library_points_at_the_program() {
    let (code, message) = failure("x = [1, 2]\nplt.bar(x, [1, 2, 3])").await;
    assert_eq!(code, "python_error");
    assert!(
        message.starts_with("line 2: ValueError: shape mismatch"),
        "{message}"
    );
    assert!(
        !message.contains("site-packages") && !message.contains('/'),
        "{message}"
    );
}

#[tokio::test]
async fn a_syntax_error_names_its_line() {
    let (code, message) = failure("plt.plot([1, 2])\nplt.title('don't')").await;
    assert_eq!(code, "python_error");
    assert!(message.starts_with("line 2: SyntaxError: "), "{message}");
    let (code, message) = failure("x = '\0'").await;
    assert_eq!(code, "python_error", "{message}");
}

#[tokio::test]
async fn no_figure_is_a_failure() {
    for program in [
        "",
        "x = 1",
        "plt.figure()",
        "fig, ax = plt.subplots()\nax.set_title('nothing')",
        "plt.plot([1, 2])\nplt.close()",
        "def draw():\n    plt.plot([1, 2])",
    ] {
        let (code, message) = failure(program).await;
        assert_eq!(code, "no_figure", "{program}: {message}");
    }
}

#[tokio::test]
async fn leaving_the_interpreter_is_a_failure() {
    let (code, message) = failure(
        "import os\nprint('so long')\nimport sys; sys.stdout.flush()\nplt.plot([1])\nos._exit(0)",
    )
    .await;
    assert_eq!(code, "python_error");
    assert!(
        message.contains("status 0") && message.contains("so long"),
        "{message}"
    );
    let (code, message) = failure("import sys\nplt.plot([1])\nsys.exit('bad data')").await;
    assert_eq!(code, "python_error");
    assert!(message.contains("bad data"), "{message}");
}

#[tokio::test]
async fn exceptions_that_resist_being_told_are_told() {
    let (code, message) = failure(
        "class Odd(BaseException):\n    def __str__(self): raise KeyboardInterrupt\nraise Odd",
    )
    .await;
    assert_eq!(code, "python_error");
    assert!(message.starts_with("line 3: Odd"), "{message}");
    let (_, message) = failure("raise ValueError('x' * 100_000 + '\\x1b[31m')").await;
    assert!(
        message.len() < 2000 && !message.contains('\x1b'),
        "{}",
        message.len()
    );
}

#[tokio::test]
async fn a_program_that_is_too_long_is_not_run() {
    let tool = tool_with(CodeConfig {
        program_bytes: 100,
        ..config()
    })
    .await;
    let error = run(&tool, &"x = 1\n".repeat(100)).await.unwrap_err();
    assert_eq!(error.code(), "program_too_large");
}

async fn unavailable(config: CodeConfig) -> (String, String) {
    let tool = CodeTool::start(config).await;
    let capability = tool.capability();
    assert!(!capability.available && capability.backends.is_empty());
    let error = run(&tool, "plt.plot([1, 2])").await.unwrap_err();
    assert_eq!(error.code(), "tool_unavailable");
    (capability.reason.unwrap(), capability.remedy.unwrap())
}

#[tokio::test]
async fn without_python_or_bubblewrap_the_tool_says_so_and_runs_nothing() {
    let (reason, remedy) = unavailable(CodeConfig::new("/nowhere/python")).await;
    assert!(reason.contains("/nowhere/python"), "{reason}");
    assert!(remedy.contains("ILLUMINE_PYTHON"), "{remedy}");

    let (reason, remedy) = unavailable(CodeConfig {
        bwrap: Some("/nowhere/bwrap".into()),
        ..CodeConfig::new(python())
    })
    .await;
    assert!(reason.contains("bubblewrap"), "{reason}");
    assert!(remedy.contains("install"), "{remedy}");
}

#[tokio::test]
async fn where_namespaces_are_denied_nothing_runs_outside_them() {
    // Bubblewrap as it behaves where user namespaces are forbidden.
    let folder = tempfile::tempdir().unwrap();
    let stub = folder.path().join("bwrap");
    std::fs::write(
        &stub,
        "#!/bin/sh\ncase \"$1\" in --help) echo '--size --as-pid-1';; *) \
         echo 'bwrap: No permissions to create new namespace' >&2; exit 1;; esac\n",
    )
    .unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (reason, remedy) = unavailable(CodeConfig {
        bwrap: Some(stub),
        ..CodeConfig::new(python())
    })
    .await;
    assert!(reason.contains("namespace"), "{reason}");
    assert!(remedy.contains("unprivileged_userns_clone"), "{remedy}");
}
