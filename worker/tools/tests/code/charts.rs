//! What honest programs get.

use crate::harness::{assert_drawn, config, draw, run, tool, tool_with, workspace};
use illumine_tools::{DrawOptions, ImageTool, ToolContext};
use illumine_types::ToolKind;
use illumine_types::tool::ToolRequest;

const BAR: &str = "plt.bar(['a', 'b', 'c'], [3, 1, 2])\nplt.title('Bars')\nplt.show()";

#[tokio::test]
async fn usual_charts_are_drawn_at_a_readable_size() {
    let tool = tool().await;
    for (name, program) in [
        ("bar", BAR),
        (
            "line",
            "import matplotlib.pyplot as plt\nimport pandas as pd\n\
             days = pd.date_range('2024-01-31', periods=12, freq='M')\n\
             pd.DataFrame({'x': range(12)}, index=days).plot(figsize=(10, 5))",
        ),
        (
            "pie",
            "plt.pie([5, 3, 2], labels=['a', 'b', 'c'], autopct='%1.0f%%')",
        ),
        (
            "scatter",
            "sns.scatterplot(x=np.random.rand(99), y=np.random.rand(99), hue=np.arange(99) % 3)",
        ),
        (
            "heatmap",
            "sns.heatmap(np.arange(20).reshape(4, 5), annot=True)",
        ),
        (
            "grid",
            "fig, axes = plt.subplots(2, 2, figsize=(12, 9))\n\
             for ax in axes.flat: ax.hist(np.random.randn(500))",
        ),
    ] {
        let image = run(&tool, program)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_drawn(&image);
        let (width, height) = (image.picture.width, image.picture.height);
        assert!((900..=1500).contains(&width), "{name} is {width} wide");
        assert!((500..=1600).contains(&height), "{name} is {height} high");
    }
}

#[tokio::test]
async fn provenance_tells_the_program_the_libraries_and_the_seed() {
    let made = draw(&format!("```python\n{BAR}\n```"))
        .await
        .unwrap()
        .provenance;
    assert_eq!(made.tool, ToolKind::Code);
    assert_eq!(made.backend, "sandbox");
    assert_eq!(made.program.unwrap().trim(), BAR);
    assert_eq!((made.attempts, made.seed), (1, Some(0)));
    assert!(made.elapsed_ms > 0);
    let pinned = include_str!("../../src/code/requirements.txt");
    for name in ["matplotlib", "numpy", "pandas", "seaborn"] {
        let line = format!("{name}=={}", made.parameters[name].as_str().unwrap());
        assert!(
            pinned.lines().any(|pin| pin == line),
            "{line} is not the pinned version"
        );
    }
}

#[tokio::test]
async fn the_same_seed_draws_the_same_picture_and_another_does_not() {
    let tool = tool().await;
    let request = ToolRequest::Code {
        code: "plt.scatter(np.random.rand(50), np.random.rand(50))".to_owned(),
    };
    let mut pictures = Vec::new();
    for seed in [7, 7, 8] {
        let context = ToolContext {
            options: DrawOptions {
                seed: Some(seed),
                ..DrawOptions::default()
            },
            ..ToolContext::default()
        };
        pictures.push(tool.run(&request, &context).await.unwrap().picture.bytes);
    }
    assert_eq!(pictures[0], pictures[1]);
    assert_ne!(pictures[0], pictures[2]);
}

#[tokio::test]
async fn unicode_apostrophes_and_quotes_are_labels_like_any_other() {
    let image = draw(
        "plt.barh(['don\\'t', \"say \\\"hi\\\"\", 'Café', 'Ελλάδα', 'Україна', '日本', '😀'], range(1, 8))\n\
         plt.title('L’été — “naïve” ★ ≤ 5 °C')\nplt.xlabel('Größe (µm)')",
    )
    .await
    .unwrap();
    assert_drawn(&image);
}

#[tokio::test]
async fn printing_does_not_touch_the_picture() {
    let image = draw(
        "import os, sys\nprint('hello' * 1000)\nsys.stdout.write('no newline')\n\
         sys.stdout.flush()\nos.write(1, b'12\\n{\"status\"')\nprint('!', file=sys.stderr)\n\
         plt.plot([1, 3, 2])\nprint('bye')",
    )
    .await
    .unwrap();
    assert_drawn(&image);
}

#[tokio::test]
async fn show_and_savefig_change_nothing_even_when_the_figure_is_closed_after() {
    let tool = tool().await;
    for ending in [
        "plt.show()",
        "plt.savefig('chart.png')\nplt.close()",
        "fig.savefig('/etc/chart.pdf', dpi=9000)\nplt.close('all')",
        "fig.show()\nplt.show(block=True)\nplt.clf",
        "import matplotlib\nmatplotlib.use('TkAgg')\nplt.switch_backend('Qt5Agg')",
        "from matplotlib.pyplot import show, savefig\nshow()\nsavefig('x')",
    ] {
        let program = format!("fig, ax = plt.subplots()\nax.bar([1, 2], [3, 4])\n{ending}");
        let image = run(&tool, &program)
            .await
            .unwrap_or_else(|e| panic!("{ending}: {e}"));
        assert_drawn(&image);
    }
}

#[tokio::test]
async fn the_last_figure_with_something_on_it_is_taken() {
    let program = "plt.figure(figsize=(4, 4))\nplt.plot([1, 2])\n\
         plt.figure(figsize=(10, 2.5))\nplt.plot([2, 1])\nplt.figure(figsize=(3, 6))";
    let image = draw(program).await.unwrap();
    assert_drawn(&image);
    assert!(image.picture.width > 3 * image.picture.height);
}

#[tokio::test]
async fn threads_may_be_used() {
    let image = draw(
        "import threading\nheights = []\n\
         workers = [threading.Thread(target=lambda n=n: heights.append(n)) for n in range(8)]\n\
         for worker in workers: worker.start()\nfor worker in workers: worker.join()\n\
         assert sorted(heights) == list(range(8))\nplt.bar(range(8), sorted(heights))",
    )
    .await
    .unwrap();
    assert_drawn(&image);
}

#[tokio::test]
async fn temporary_files_may_be_written_and_read() {
    let image = draw(
        "import tempfile\nframe = pd.DataFrame({'a': [1, 2, 3]})\nframe.to_csv('data.csv')\n\
         with tempfile.NamedTemporaryFile() as file: np.save(file, frame.a)\n\
         pd.read_csv('data.csv').a.plot.bar()",
    )
    .await
    .unwrap();
    assert_drawn(&image);
}

#[tokio::test]
async fn sys_exit_after_drawing_is_no_failure() {
    assert_drawn(
        &draw("import sys\nplt.plot([1, 2])\nsys.exit(0)")
            .await
            .unwrap(),
    );
}

#[tokio::test]
async fn handlers_at_exit_cannot_spoil_the_picture() {
    let image = draw(
        "import atexit, threading, time\n\
         def spoil(): raise SystemExit(3)\natexit.register(spoil)\n\
         threading.Thread(target=time.sleep, args=(60,)).start()\nplt.plot([1, 2])",
    )
    .await
    .unwrap();
    assert_drawn(&image);
}

#[tokio::test]
async fn programs_run_side_by_side() {
    let tool = tool_with(illumine_tools::CodeConfig {
        concurrency: 2,
        ..config()
    })
    .await;
    let images = futures::future::join_all((0..3).map(|_| run(&tool, BAR))).await;
    images.into_iter().for_each(|image| {
        assert_drawn(&image.unwrap());
    });
}

#[test]
fn requirements_are_pinned_exactly() {
    let path = workspace().join("worker/tools/src/code/requirements.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let packages: Vec<_> = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .collect();
    assert!(packages.len() >= 4);
    assert!(
        packages
            .iter()
            .all(|package| package.split("==").count() == 2),
        "{packages:?}"
    );
}
