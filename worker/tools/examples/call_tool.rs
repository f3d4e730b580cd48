//! Calls one tool as this machine is configured, to see whether it works:
//!
//! ```text
//! cargo run -p illumine-tools --example call_tool -- search "a cat" out.png
//! cargo run -p illumine-tools --example call_tool -- edit "make it snow" out.png in.png
//! ```

use illumine_guard::{PictureLimits, inspect};
use illumine_tools::{ToolContext, Toolbox, Tuning};
use illumine_types::ToolKind;
use illumine_types::tool::ToolRequest;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let loaded = illumine_config::load(&illumine_config::Sources::from_process())?;
    let toolbox = Toolbox::without_code(
        &loaded.config.tools,
        None,
        &Painters::default(),
        Tuning::default(),
    );
    let [tool, text, output, parent @ ..] = arguments.as_slice() else {
        println!("search|diffusion|edit TEXT OUTPUT [PARENT]\n");
        println!("{}", serde_json::to_string_pretty(&toolbox.capabilities())?);
        return Ok(());
    };
    let mut context = ToolContext::default();
    if let [parent, ..] = parent {
        let bytes = tokio::fs::read(parent).await?;
        context.parent = Some(inspect(bytes.into(), PictureLimits::default()).await?);
    }
    let kind = ToolKind::parse(tool).ok_or("no such tool")?;
    let request = request(kind, text)?;
    let made = toolbox.get(kind).ok_or("no such tool")?;
    let made = made.run(&request, &context).await?;
    tokio::fs::write(output, &made.picture.bytes).await?;
    println!("{}", serde_json::to_string_pretty(&made.provenance)?);
    Ok(())
}

fn request(kind: ToolKind, text: &str) -> Result<ToolRequest, Failure> {
    let text = text.to_owned();
    Ok(match kind {
        ToolKind::Search => ToolRequest::Search { query: text },
        ToolKind::Diffusion => ToolRequest::Diffusion { prompt: text },
        ToolKind::Edit => ToolRequest::Edit {
            img_index: 0,
            prompt: text,
        },
        ToolKind::Code => return Err("see the example draw_chart".into()),
    })
}
