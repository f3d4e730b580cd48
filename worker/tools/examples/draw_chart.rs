//! Draws programs in the sandbox: `draw_chart FOLDER chart.py …` writes
//! FOLDER/chart.png for each.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use illumine_tools::{CodeConfig, CodeTool, ImageTool, ToolContext};
use illumine_types::tool::ToolRequest;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("usage: draw_chart FOLDER PROGRAM…");
    let python = std::env::var("ILLUMINE_PYTHON")
        .unwrap_or_else(|_| ".illumine/python/bin/python".to_owned());
    let tool = CodeTool::start(CodeConfig::new(python)).await;
    println!("{:?}", tool.capability());
    for path in arguments {
        let code = std::fs::read_to_string(&path).expect("a program");
        let request = ToolRequest::Code { code };
        match tool.run(&request, &ToolContext::default()).await {
            Ok(image) => {
                let name = Path::new(&path).with_extension("png");
                let name = name.file_name().expect("a name");
                let (picture, made) = (image.picture, image.provenance);
                println!(
                    "{path}: {} × {}, {} bytes, {} ms",
                    picture.width,
                    picture.height,
                    picture.bytes.len(),
                    made.elapsed_ms
                );
                std::fs::write(Path::new(&folder).join(name), picture.bytes).expect("written");
            }
            Err(error) => println!("{path}: {}: {error}", error.code()),
        }
    }
}
