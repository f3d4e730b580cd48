//! The `burn` backend, with a painter that paints plainly and says what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use illumine_tools::painter::{PaintOrder, PaintWatch, Painted, Painter, Painters};
use illumine_tools::{Advance, Picture, ToolContext, ToolError, Toolbox};
use illumine_types::ToolKind;
use serde_json::json;

use crate::servers::{with_ark, with_qwen};
use crate::world::{Server, draw, edit, painted, png, seeded, settings, tuning, with_parent};

#[derive(Debug, Default)]
struct Brush {
    orders: Mutex<Vec<PaintOrder>>,
}

#[async_trait::async_trait]
impl Painter for Brush {
    fn model(&self) -> String {
        "burn:/models/brush".into()
    }

    /// `wait` is never done, `tired` fails once in a while, `no` for good.
    async fn paint(&self, order: PaintOrder, watch: PaintWatch) -> Result<Painted, ToolError> {
        self.orders.lock().unwrap().push(order.clone());
        let tries = self.orders.lock().unwrap().len();
        match order.prompt.as_str() {
            "wait" => std::future::pending().await,
            "tired" if tries == 1 => return Err(ToolError::transient("model_busy", "busy")),
            "no" => return Err(ToolError::permanent("model_load", "no canvas")),
            _ => {}
        }
        (1..=4_u8).for_each(|step| (watch.progress)(Advance::share(f32::from(step) / 4.0)));
        let bytes = png();
        let picture = illumine_guard::picture::inspect_blocking(bytes.into(), Default::default());
        Ok(Painted {
            picture: picture.unwrap(),
            model: self.model(),
            width: order.width.unwrap_or(320),
            height: order.height.unwrap_or(240),
            steps: order.steps.unwrap_or(4),
            guidance: order.guidance.unwrap_or(1.5),
            notes: vec!["the width was rounded".into()],
        })
    }
}

impl Brush {
    fn order(&self) -> PaintOrder {
        self.orders.lock().unwrap().last().unwrap().clone()
    }
}

#[tokio::test]
async fn options_reach_the_painter_and_provenance_tells_how_it_painted() {
    let brush = Arc::new(Brush::default());
    let tool = painted(&settings(), ToolKind::Diffusion, brush.clone());
    let heard: Arc<Mutex<Vec<f32>>> = Arc::default();
    let mut context = seeded(42);
    context.options.image.width = Some(64);
    context.options.image.guidance = Some(3.0);
    context.progress = {
        let heard = Arc::clone(&heard);
        Arc::new(move |advance| heard.lock().unwrap().push(advance.fraction))
    };
    let made = tool.run(&draw("a red fox"), &context).await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [0.25, 0.5, 0.75, 1.0]);
    let order = brush.order();
    assert_eq!((order.width, order.height), (Some(64), None));
    assert_eq!((order.guidance, order.steps), (Some(3.0), None));
    assert!(order.pictures.is_empty());
    let told = made.provenance;
    assert_eq!((told.backend.as_str(), told.seed), ("burn", Some(42)));
    assert_eq!(told.model.as_deref(), Some("burn:/models/brush"));
    for (name, value) in [
        ("width", json!(64)),
        ("steps", json!(4)),
        ("guidance", json!(3.0)),
        ("notes", json!(["the width was rounded"])),
    ] {
        assert_eq!(told.parameters[name], value, "{name}");
    }
    let fresh = tool.run(&draw("a blue fox"), &ToolContext::default()).await;
    assert_eq!(fresh.unwrap().provenance.seed, Some(brush.order().seed));
}

#[tokio::test]
async fn an_edit_brings_its_picture_and_keeps_its_shape() {
    let brush = Arc::new(Brush::default());
    let tool = painted(&settings(), ToolKind::Edit, brush.clone());
    let mut context = with_parent(png());
    context.options.image.width = Some(1024);
    let made = tool.run(&edit("make it snow"), &context).await.unwrap();
    let order = brush.order();
    let shapes: Vec<(u32, u32)> = order
        .pictures
        .iter()
        .map(|one: &Picture| (one.width, one.height))
        .collect();
    assert_eq!(shapes, [(320, 240)]);
    assert_eq!((order.prompt.as_str(), order.width), ("make it snow", None));
    assert_eq!(made.provenance.parent.unwrap().index, 2);
}

#[tokio::test]
async fn cancelling_ends_it_within_a_step() {
    let tool = painted(&settings(), ToolKind::Diffusion, Arc::new(Brush::default()));
    let context = ToolContext::default();
    let stop = context.cancel.clone();
    let running = tokio::spawn(async move { tool.run(&draw("wait"), &context).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap();
    assert!(matches!(ended.unwrap(), Err(ToolError::Cancelled)));
}

#[tokio::test]
async fn it_is_the_last_resort_unless_it_is_named_first() {
    let brush = Arc::new(Brush::default());
    let mut settings = with_ark("http://127.0.0.1:1");
    let order = |settings: &_| {
        let tool = painted(settings, ToolKind::Diffusion, brush.clone());
        tool.capability().backends
    };
    assert_eq!(order(&settings), ["ark", "burn"]);
    settings.diffusion = vec!["burn".into(), "ark".into()];
    assert_eq!(order(&settings), ["burn", "ark"]);

    let failing = Server::start(|_| async { StatusCode::BAD_REQUEST }).await;
    let tool = painted(
        &with_qwen(&[failing.url()]),
        ToolKind::Diffusion,
        brush.clone(),
    );
    let made = tool
        .run(&draw("a fox"), &ToolContext::default())
        .await
        .unwrap();
    assert_eq!(
        (made.provenance.backend.as_str(), failing.seen().len()),
        ("burn", 1)
    );
}

#[tokio::test]
async fn failures_are_tried_again_where_that_helps() {
    let brush = Arc::new(Brush::default());
    let tool = painted(&settings(), ToolKind::Diffusion, brush.clone());
    let made = tool
        .run(&draw("tired"), &ToolContext::default())
        .await
        .unwrap();
    assert_eq!(made.provenance.attempts, 2);
    let error = tool
        .run(&draw("no"), &ToolContext::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("model_load", "no canvas")
    );
}

#[tokio::test]
async fn a_model_that_cannot_paint_is_a_stated_fact() {
    let painters = Painters {
        diffusion: Some(Err("`/nowhere` is no folder".into())),
        edit: None,
    };
    let toolbox = Toolbox::without_code(&settings(), None, &painters, tuning());
    let reason = |kind| toolbox.get(kind).unwrap().capability().reason.unwrap();
    let diffusion = reason(ToolKind::Diffusion);
    assert!(
        diffusion.contains("ILLUMINE_DIFFUSION_MODEL: `/nowhere` is no folder"),
        "{diffusion}"
    );
    assert!(reason(ToolKind::Edit).contains("ILLUMINE_EDIT_MODEL is not set"));
}
