//! Times the warm code tool on a simple chart.
//!
//! `ILLUMINE_PYTHON=… cargo run --release -p illumine-tools --example bench_code [runs]`
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use illumine_tools::{CodeConfig, CodeTool, ImageTool, ToolContext};
use illumine_types::tool::ToolRequest;

const CHART: &str = "
months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun']
plt.bar(months, [3, 5, 4, 7, 8, 6])
plt.title('Rainy days')
plt.xlabel('Month')
plt.ylabel('Days')
plt.show()
";

#[tokio::main]
async fn main() {
    let runs: usize = std::env::args()
        .nth(1)
        .map_or(30, |text| text.parse().expect("a number"));
    let python = std::env::var("ILLUMINE_PYTHON")
        .unwrap_or_else(|_| ".illumine/python/bin/python".to_owned());
    let config = CodeConfig::new(python);
    let pool = config.pool;
    let start = Instant::now();
    let tool = CodeTool::start(config).await;
    let capability = tool.capability();
    assert!(capability.available, "{:?}", capability.reason);
    let ready = start.elapsed();

    let request = ToolRequest::Code {
        code: CHART.to_owned(),
    };
    let context = ToolContext::default();
    let mut warm = Vec::with_capacity(runs);
    for _ in 0..runs {
        // The whole pool, so that no sandbox is warming up on the same cores.
        while tool.idle() < pool {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let start = Instant::now();
        tool.run(&request, &context).await.expect("a chart");
        warm.push(start.elapsed());
    }
    warm.sort();

    let start = Instant::now();
    for _ in 0..runs {
        tool.run(&request, &context).await.expect("a chart");
    }
    let in_a_row = start.elapsed() / u32::try_from(runs).expect("a small number");
    let at = |share: f64| warm[((runs - 1) as f64 * share).round() as usize].as_secs_f64();
    println!(
        "code tool: {runs} warm runs: p50 {:.3} s, p95 {:.3} s, max {:.3} s; \
         in a row {:.3} s each; start to available {:.2} s",
        at(0.5),
        at(0.95),
        at(1.0),
        in_a_row.as_secs_f64(),
        ready.as_secs_f64(),
    );
}
