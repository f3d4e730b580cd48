//! Datasets: stored whole or not at all, read in pieces, removed.

use std::path::Path;

use illumine_types::dataset::{
    Dataset, DatasetFile, DatasetId, DatasetRow, ROWS_A_CHUNK, Split, Summary,
};

use crate::harness::Servers;

/// Larger than what S3 takes in one part.
const LARGE: usize = 9 << 20;

fn row(number: usize) -> DatasetRow {
    DatasetRow {
        file: "rows.jsonl".into(),
        row: number as u64,
        prompt: format!("prompt {number}"),
        cut: false,
        messages: 1,
        tools: Vec::new(),
        image_num: 0,
        pictures: Vec::new(),
        source: String::new(),
    }
}

/// A dataset in a folder as an upload leaves it: `train` rows, and no others.
fn laid_out(folder: &Path, name: &str, train: usize) -> Dataset {
    std::fs::create_dir_all(folder.join("files")).unwrap();
    std::fs::create_dir_all(folder.join("rows")).unwrap();
    std::fs::write(folder.join("files/000.jsonl"), "{}\n").unwrap();
    std::fs::write(folder.join("files/001.parquet"), vec![7; LARGE]).unwrap();
    let rows: Vec<usize> = (0..train).collect();
    for (chunk, rows) in rows.chunks(ROWS_A_CHUNK).enumerate() {
        let lines = rows
            .iter()
            .map(|at| serde_json::to_string(&row(*at)).unwrap());
        let text = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(folder.join(Split::Train.rows_file(chunk)), text).unwrap();
    }
    let file = |name: &str, bytes: usize| DatasetFile {
        name: name.into(),
        bytes: bytes as u64,
        rows: 1,
    };
    Dataset {
        id: DatasetId::generate(),
        name: name.into(),
        files: vec![file("rows.jsonl", 3), file("more.parquet", LARGE)],
        bytes: 3 + LARGE as u64,
        summary: Summary {
            rows: train,
            by_split: [(Split::Train, train), (Split::Test, 0)].into(),
            ..Summary::default()
        },
        created_at: Some(chrono::Utc::now()),
    }
}

#[tokio::test]
async fn a_dataset_comes_back_as_it_was_and_goes_without_a_trace() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let datasets = store.datasets();
    assert_eq!(datasets.list().await.unwrap(), []);
    let folder = tempfile::tempdir().unwrap();
    let first = laid_out(folder.path(), "first", 250);
    datasets.put(&first, folder.path()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let second = Dataset {
        id: DatasetId::generate(),
        name: "second".into(),
        ..first.clone()
    };
    datasets.put(&second, folder.path()).await.unwrap();
    assert_eq!(
        datasets.list().await.unwrap(),
        [second.clone(), first.clone()]
    );
    assert_eq!(datasets.get(&first.id).await.unwrap(), Some(first.clone()));

    let target = tempfile::tempdir().unwrap();
    let paths = datasets.fetch(&first, target.path()).await.unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), b"{}\n");
    assert!(std::fs::read(&paths[1]).unwrap() == vec![7; LARGE]);

    datasets.delete(&first.id).await.unwrap();
    datasets.delete(&first.id).await.unwrap();
    assert_eq!(datasets.get(&first.id).await.unwrap(), None);
    let left = store.blobs().list_all("datasets/").await.unwrap();
    assert!(
        left.iter()
            .all(|blob| blob.key.starts_with(&second.id.key("")))
    );
    assert_eq!(left.len(), 2 + 3 + 1);
    let gone = datasets.fetch(&first, target.path()).await.unwrap_err();
    assert_eq!(gone.code(), "not_found");
}

#[tokio::test]
async fn rows_are_read_across_chunks_and_not_beyond_the_end() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let datasets = store.datasets();
    let folder = tempfile::tempdir().unwrap();
    let dataset = laid_out(folder.path(), "rows", 250);
    datasets.put(&dataset, folder.path()).await.unwrap();
    for (offset, limit, expected) in [
        (0, 3, 0..3),
        (95, 10, 95..105),
        (100, 100, 100..200),
        (50, 200, 50..250),
        (240, 100, 240..250),
        (250, 10, 0..0),
        (usize::MAX, 10, 0..0),
        (0, 0, 0..0),
    ] {
        let rows = datasets.rows(&dataset, Split::Train, offset, limit).await;
        let expected: Vec<DatasetRow> = expected.map(row).collect();
        assert_eq!(rows.unwrap(), expected, "{offset} {limit}");
    }
    let none = datasets.rows(&dataset, Split::Test, 0, 10).await.unwrap();
    assert_eq!(none, []);
}

#[tokio::test]
async fn what_was_left_half_done_is_not_there() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let datasets = store.datasets();
    let folder = tempfile::tempdir().unwrap();
    let dataset = laid_out(folder.path(), "half", 10);
    for file in ["files/000.jsonl", "rows/train-000000.jsonl"] {
        let key = dataset.id.key(file);
        store.blobs().put(&key, "{}", "text/plain").await.unwrap();
    }
    assert_eq!(datasets.list().await.unwrap(), []);
    assert_eq!(datasets.get(&dataset.id).await.unwrap(), None);

    // Nor is anything left of what could not be stored.
    std::fs::remove_dir_all(folder.path().join("rows")).unwrap();
    let refused = datasets.put(&dataset, folder.path()).await.unwrap_err();
    assert_eq!(refused.code(), "local_disk");
    let left = store.blobs().list_all("datasets/").await.unwrap();
    assert!(left.is_empty(), "{left:?}");

    let folder = tempfile::tempdir().unwrap();
    let mut cut = laid_out(folder.path(), "cut", 10);
    cut.files[0].bytes += 1;
    datasets.put(&cut, folder.path()).await.unwrap();
    let told = datasets.fetch(&cut, folder.path()).await.unwrap_err();
    assert_eq!(told.code(), "stored_object_unreadable");
}
