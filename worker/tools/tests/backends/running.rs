//! What all backends have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use illumine_config::Secret;
use illumine_tools::{Painters, ToolContext, ToolError, Toolbox};
use illumine_types::ToolKind;
use serde_json::json;

use crate::servers::{KEY, qwen, with_ark, with_qwen};
use crate::world::{
    Server, draw, edit, hanging, png_base64, run, search_for, seeded, settings, tool, tuning,
};

#[tokio::test]
async fn nothing_set_is_stated_with_its_remedy() {
    let toolbox = Toolbox::without_code(&settings(), None, &Painters::default(), tuning());
    let capabilities = toolbox.capabilities();
    let search = &capabilities[0];
    assert!(search.available && search.reason.is_none());
    assert_eq!(search.backends, ["library"]);
    for (capability, variables) in [
        (
            &capabilities[1],
            [
                "QWEN_IMAGE_SERVER_URL",
                "ARK_API_KEY",
                "ILLUMINE_OPENAI_IMAGES_API_KEY",
                "ILLUMINE_DIFFUSION_MODEL",
            ],
        ),
        (
            &capabilities[2],
            [
                "QWEN_EDIT_SERVER_URL",
                "ARK_API_KEY",
                "ILLUMINE_OPENAI_IMAGES_API_KEY",
                "ILLUMINE_EDIT_MODEL",
            ],
        ),
    ] {
        assert!(!capability.available && capability.backends.is_empty());
        assert_eq!(capability.remedy, Some(variables.join(" or ")));
        let tool = toolbox.get(capability.tool).unwrap();
        let request = if capability.tool == ToolKind::Edit {
            edit("x")
        } else {
            draw("x")
        };
        let error = run(tool, &request).await.unwrap_err();
        assert!(matches!(error, ToolError::Unavailable { .. }));
        assert!(error.to_string().contains(variables[0]), "{error}");
    }
}

#[tokio::test]
async fn named_backends_alone_are_used_in_their_order() {
    let mut settings = with_ark("http://127.0.0.1:1");
    settings.qwen_image_servers = vec!["http://127.0.0.1:2".into()];
    let order = |settings: &_| tool(settings, ToolKind::Diffusion).capability().backends;
    assert_eq!(order(&settings), ["qwen", "ark"]);
    settings.diffusion = vec!["ark".into(), "qwen".into()];
    assert_eq!(order(&settings), ["ark", "qwen"]);
    settings.diffusion = vec!["openai".into()];
    let capability = tool(&settings, ToolKind::Diffusion).capability();
    assert_eq!(
        capability.remedy.as_deref(),
        Some("ILLUMINE_OPENAI_IMAGES_API_KEY")
    );
    settings.diffusion = vec!["midjourney".into()];
    let reason = tool(&settings, ToolKind::Diffusion)
        .capability()
        .reason
        .unwrap();
    assert!(
        reason.contains("midjourney") && reason.contains("ILLUMINE_DIFFUSION"),
        "{reason}"
    );
    settings.diffusion = vec!["qwen".into()];
    settings.qwen_image_servers = vec!["gpu-1:8000".into()];
    let capability = tool(&settings, ToolKind::Diffusion).capability();
    assert_eq!(capability.remedy.as_deref(), Some("QWEN_IMAGE_SERVER_URL"));
}

#[tokio::test]
async fn the_same_call_is_answered_from_the_cache() {
    let server = Server::start(|_| async { Json(qwen(&[png_base64()])) }).await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
    let first = tool.run(&draw("a fox"), &seeded(1)).await.unwrap();
    let again = tool.run(&draw("a fox"), &seeded(1)).await.unwrap();
    assert_eq!(server.seen().len(), 1);
    assert_eq!(first.picture.bytes, again.picture.bytes);
    assert_eq!(again.provenance.parameters["cached"], true);
    tool.run(&draw("a fox"), &seeded(2)).await.unwrap();
    assert_eq!(server.seen().len(), 2, "a new seed is a new picture");
    tool.run(&draw("two foxes"), &seeded(1)).await.unwrap();
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn failures_are_not_cached() {
    let server = Server::start(|seen: crate::world::Seen| async move {
        let images = if seen.before == 0 {
            vec![]
        } else {
            vec![png_base64()]
        };
        Json(qwen(&images))
    })
    .await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
    run(&tool, &draw("a fox")).await.unwrap_err();
    run(&tool, &draw("a fox")).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once() {
    let server = hanging().await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
    let context = ToolContext::default();
    let cancel = context.cancel.clone();
    let call = tokio::spawn(async move { tool.run(&draw("a fox"), &context).await });
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert!(matches!(call.await.unwrap(), Err(ToolError::Cancelled)));
}

#[tokio::test]
async fn attempts_at_a_time_are_bounded() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    let server = Server::start(move |_| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Json(json!({"data": [{"b64_json": png_base64()}]}))
        }
    })
    .await;
    let tool = tool(&with_ark(&server.url()), ToolKind::Diffusion);
    let prompts: Vec<_> = (0..12)
        .map(|number| draw(&format!("fox {number}")))
        .collect();
    let calls = prompts.iter().map(|prompt| run(&tool, prompt));
    for made in futures::future::join_all(calls).await {
        made.unwrap();
    }
    let most = peak.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} at a time");
}

#[tokio::test]
async fn empty_and_endless_calls_are_not_sent() {
    let server = Server::start(|_| async { Json(qwen(&[png_base64()])) }).await;
    let tool = tool(&with_qwen(&[server.url()]), ToolKind::Diffusion);
    assert_eq!(
        run(&tool, &draw(" \n")).await.unwrap_err().code(),
        "empty_call"
    );
    let endless = draw(&"fox ".repeat(10_000));
    assert_eq!(
        run(&tool, &endless).await.unwrap_err().code(),
        "call_too_long"
    );
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn no_secret_is_shown_anywhere() {
    let mut settings = with_ark("http://127.0.0.1:1");
    settings.serp_api_key = Some(Secret::new(KEY));
    settings.serp_api_url = "http://127.0.0.1:1/search".into();
    let toolbox = Toolbox::without_code(&settings, None, &Painters::default(), tuning());
    let mut shown = format!("{settings:?} {toolbox:?}");
    for (kind, request) in [
        (ToolKind::Search, search_for("fox")),
        (ToolKind::Diffusion, draw("fox")),
    ] {
        let error = run(toolbox.get(kind).unwrap(), &request).await.unwrap_err();
        shown += &format!("{error} {error:?}");
    }
    assert!(!shown.contains(KEY), "{shown}");
}
