//! What a program prints: read without end, kept at its end, bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

/// Bytes of the end that are kept for messages.
const KEPT: usize = 4096;

#[derive(Debug)]
pub(super) struct Printed {
    tail: Arc<Mutex<VecDeque<u8>>>,
    flooded: CancellationToken,
    reader: tokio::task::JoinHandle<()>,
}

impl Printed {
    /// Reads until the end of `from`, or until `limit` bytes came.
    pub fn read(mut from: impl AsyncRead + Unpin + Send + 'static, limit: u64) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::with_capacity(2 * KEPT)));
        let flooded = CancellationToken::new();
        let (kept, full) = (Arc::clone(&tail), flooded.clone());
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 16 << 10];
            let mut total = 0;
            while let Ok(length @ 1..) = from.read(&mut buffer).await {
                keep(&kept, &buffer[..length]);
                total += length as u64;
                if total > limit {
                    full.cancel();
                    // Closing the pipe would let the program notice and end first.
                    std::future::pending::<()>().await;
                }
            }
        });
        Self {
            tail,
            flooded,
            reader,
        }
    }

    /// Returns when the limit was passed.
    pub async fn flooded(&self) {
        self.flooded.cancelled().await;
    }

    /// The last lines, once the process has ended.
    pub async fn last_lines(mut self) -> String {
        let wait = std::time::Duration::from_millis(200);
        // A reader that is still busy has kept what came so far.
        let _ = tokio::time::timeout(wait, &mut self.reader).await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.iter().copied().collect();
        let text = super::plain(&String::from_utf8_lossy(&bytes), KEPT);
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn keep(tail: &Mutex<VecDeque<u8>>, bytes: &[u8]) {
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = &bytes[bytes.len().saturating_sub(KEPT)..];
    let over = (tail.len() + bytes.len()).saturating_sub(KEPT);
    tail.drain(..over);
    tail.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_kept_and_a_flood_is_noticed() {
        let text = "line\n".repeat(10_000) + "the last";
        let printed = Printed::read(std::io::Cursor::new(text.clone().into_bytes()), 1 << 20);
        let flooded = printed.flooded.clone();
        assert!(printed.last_lines().await.ends_with("line\nthe last"));
        assert!(!flooded.is_cancelled());

        let printed = Printed::read(std::io::Cursor::new(text.into_bytes()), 100);
        printed.flooded().await;
    }
}
