//! Server-sent events as OpenAI-compatible servers send them: `data:` lines.

/// Collects bytes and gives the data of each whole event.
#[derive(Debug, Default)]
pub struct SseReader {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are known to hold no line end.
    searched: usize,
    data: String,
}

/// A line longer than this is no chat chunk.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

impl SseReader {
    /// The data of the events that these bytes complete; `None` if a line is
    /// absurdly long.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Vec<String>> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut start = 0;
        while let Some(length) = self.buffer[self.searched.max(start)..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let end = self.searched.max(start) + length;
            let line = String::from_utf8_lossy(&self.buffer[start..end]);
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                if !self.data.is_empty() {
                    events.push(std::mem::take(&mut self.data));
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
            start = end + 1;
            self.searched = start;
        }
        self.buffer.drain(..start);
        self.searched = self.buffer.len();
        (self.buffer.len() + self.data.len() <= LONGEST_LINE).then_some(events)
    }

    /// What stood at the end without its empty line.
    pub fn finish(mut self) -> Option<String> {
        let rest = self.push(b"\n\n")?;
        rest.into_iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_gives_the_same_events() {
        let text = "data: {\"a\": \"é\"}\r\n\r\n: comment\nevent: x\ndata: one\ndata: two\n\ndata: [DONE]\n\n".as_bytes();
        let expected = ["{\"a\": \"é\"}", "one\ntwo", "[DONE]"];
        for split in 0..text.len() {
            let mut reader = SseReader::default();
            let mut events = reader.push(&text[..split]).unwrap();
            events.extend(reader.push(&text[split..]).unwrap());
            assert_eq!(events, expected, "{split}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut reader = SseReader::default();
        let piece = vec![b'x'; 1024 * 1024];
        assert!((0..5).any(|_| reader.push(&piece).is_none()));
    }
}
