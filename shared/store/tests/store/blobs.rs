use chrono::Utc;
use futures::TryStreamExt;
use illumine_store::StoreError;
use illumine_store::library::LibraryEntry;
use illumine_types::document::{ImageBlock, Timings, Usage};
use illumine_types::tool::ToolStats;
use illumine_types::{
    BlobKey, Block, Document, ImageRef, JobId, JobKind, Outcome, Provenance, ToolKind,
};

use crate::harness::Servers;

/// A document that shows these pictures.
pub fn document(id: &JobId, pictures: &[&ImageRef], version: u32) -> Document {
    let block = |(index, image): (usize, &&ImageRef)| {
        Block::Image(ImageBlock {
            index,
            call: None,
            raw: String::new(),
            outcome: Outcome::Ready {
                image: (*image).clone(),
                provenance: Box::new(Provenance {
                    tool: ToolKind::Code,
                    backend: "sandbox".into(),
                    model: None,
                    seed: None,
                    parameters: Default::default(),
                    source: None,
                    program: None,
                    parent: None,
                    elapsed_ms: 0,
                    attempts: 1,
                }),
            },
        })
    };
    Document {
        id: id.clone(),
        title: "t".into(),
        prompt: "p".into(),
        inputs: Vec::new(),
        blocks: pictures.iter().enumerate().map(block).collect(),
        tools: ToolStats::default(),
        policy: "test".into(),
        usage: Usage::default(),
        timings: Timings::default(),
        interruption: None,
        remarks: Vec::new(),
        version,
        created_at: Utc::now(),
    }
}

#[tokio::test]
async fn bytes_come_back_as_they_went() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    assert!(store.health().await.ok());
    let blobs = store.blobs();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    blobs
        .put("runs/run_1/config.json", &bytes, "application/json")
        .await
        .unwrap();
    assert_eq!(blobs.get("runs/run_1/config.json").await.unwrap(), bytes);
    let stream = blobs.get_stream("runs/run_1/config.json").await.unwrap();
    assert_eq!(stream.bytes, Some(3_000_000));
    let pieces: Vec<bytes::Bytes> = stream.body.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), bytes);
    let head = blobs.head("runs/run_1/config.json").await.unwrap().unwrap();
    assert_eq!(head.bytes, 3_000_000);

    assert!(matches!(
        blobs.get("runs/none").await,
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        blobs.get_stream("runs/none").await,
        Err(StoreError::NotFound { .. })
    ));
    assert_eq!(blobs.head("runs/none").await.unwrap(), None);
    blobs.delete("runs/run_1/config.json").await.unwrap();
    blobs.delete("runs/run_1/config.json").await.unwrap();
    assert_eq!(blobs.head("runs/run_1/config.json").await.unwrap(), None);
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    use futures::StreamExt;
    let servers = Servers::start().await;
    let store = servers.store().await;
    let blobs = store.blobs();
    futures::stream::iter(0..1100)
        .for_each_concurrent(32, |n| {
            let blobs = store.blobs();
            async move {
                blobs
                    .put(&format!("many/{n:04}"), b"x", "text/plain")
                    .await
                    .unwrap()
            }
        })
        .await;
    blobs.put("more/0", b"x", "text/plain").await.unwrap();
    let page = blobs.list("many/", None).await.unwrap();
    assert_eq!(page.items.len(), 1000);
    assert!(page.next.is_some());
    let all = blobs.list_all("many/").await.unwrap();
    assert_eq!(all.len(), 1100);
    assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
}

#[tokio::test]
async fn pictures_are_named_by_their_content() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let image = store
        .blobs()
        .put_image(b"abc", "image/png", 3, 4)
        .await
        .unwrap();
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(image.id.as_str(), format!("{hash}.png"));
    assert_eq!(image.url, format!("/api/v1/images/{hash}.png"));
    assert_eq!((image.width, image.height), (3, 4));
    let input = store
        .blobs()
        .put_input(b"abc", "image/jpeg", 3, 4)
        .await
        .unwrap();
    assert_eq!(input.url, format!("/api/v1/inputs/{hash}.jpg"));
    let refused = store.blobs().put_image(b"abc", "text/html", 3, 4).await;
    assert_eq!(refused.unwrap_err().code(), "invalid_value");
}

#[tokio::test]
async fn document_versions_only_grow() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let id = JobId::generate(JobKind::Generation);
    let documents = store.documents();
    assert_eq!(documents.get(&id).await.unwrap_err().code(), "not_found");
    documents.put(&document(&id, &[], 1)).await.unwrap();
    let again = documents.put(&document(&id, &[], 1)).await;
    assert_eq!(again.unwrap_err().code(), "version_conflict");
    assert_eq!(documents.save(&document(&id, &[], 1)).await.unwrap(), 2);
    assert_eq!(documents.get(&id).await.unwrap().version, 2);

    // Of two writers of the same next version, one wins.
    let next = document(&id, &[], 3);
    let (a, b) = tokio::join!(documents.put(&next), documents.put(&next));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

#[tokio::test]
async fn the_library_keeps_pictures_and_words() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let entry = LibraryEntry {
        key: BlobKey::parse(&format!("{}.png", "0".repeat(64))).unwrap(),
        tags: Vec::new(),
        caption: "A heron at dawn".into(),
        title: Some("Heron".into()),
        author: None,
        licence: Some("CC0".into()),
        source: None,
        mime: "image/png".into(),
        width: 2,
        height: 2,
    };
    let kept = store.library().put(entry, b"heron").await.unwrap();
    assert_eq!(
        store.library().list().await.unwrap(),
        std::slice::from_ref(&kept)
    );
    assert_eq!(store.library().get(&kept.key).await.unwrap(), &b"heron"[..]);
}
