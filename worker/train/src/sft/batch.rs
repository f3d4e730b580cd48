//! Examples to micro-batches.

use super::config::{Layout, SftConfig};
use crate::tokenizer::chat::Encoded;

/// Rows of tokens that go through the model together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicroBatch {
    /// Number of rows.
    pub rows: usize,
    /// Tokens a row, padding included.
    pub width: usize,
    /// `[rows × width]`
    pub ids: Vec<i64>,
    /// `[rows × width]` rotary positions and segment numbers; absent where each
    /// row holds one example.
    pub packed: Option<Packed>,
    /// Flat places `row × width + token` whose next token is learnt.
    pub places: Vec<i64>,
    /// The token learnt at each place.
    pub targets: Vec<i64>,
}

/// What tells the examples of a row apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Count from 0 in each example.
    pub positions: Vec<i64>,
    /// 1, 2, … in each row; 0 on padding.
    pub segments: Vec<i64>,
}

/// Splits the examples of one step into micro-batches of at most
/// `tokens_per_micro_batch` tokens (a longer example has one to itself).
pub fn split(examples: Vec<Encoded>, config: &SftConfig) -> Vec<MicroBatch> {
    let examples: Vec<Encoded> = examples
        .into_iter()
        .map(|mut example| {
            example.ids.truncate(config.max_tokens);
            example
        })
        .filter(|example| example.ids.len() > example.prompt_tokens.max(1))
        .collect();
    let rows = match config.layout {
        Layout::Bucket => examples.into_iter().map(|example| vec![example]).collect(),
        Layout::Pack => pack(examples, config.max_tokens),
    };
    group(rows, config.tokens_per_micro_batch)
        .iter()
        .map(|rows| build(rows, config.layout))
        .collect()
}

/// First fit, longest first.
fn pack(mut examples: Vec<Encoded>, width: usize) -> Vec<Vec<Encoded>> {
    examples.sort_by_key(|example| std::cmp::Reverse(example.ids.len()));
    let mut rows: Vec<(usize, Vec<Encoded>)> = Vec::new();
    for example in examples {
        let length = example.ids.len();
        match rows.iter_mut().find(|(used, _)| used + length <= width) {
            Some((used, row)) => {
                *used += length;
                row.push(example);
            }
            None => rows.push((length, vec![example])),
        }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn length(row: &[Encoded]) -> usize {
    row.iter().map(|example| example.ids.len()).sum()
}

/// Rows of about the same length together.
fn group(mut rows: Vec<Vec<Encoded>>, max_tokens: usize) -> Vec<Vec<Vec<Encoded>>> {
    rows.sort_by_key(|row| length(row));
    let mut groups: Vec<Vec<Vec<Encoded>>> = Vec::new();
    for row in rows {
        // The last row of a group is its longest.
        let width = length(&row);
        match groups.last_mut() {
            Some(group) if width * (group.len() + 1) <= max_tokens => group.push(row),
            _ => groups.push(vec![row]),
        }
    }
    groups
}

/// One example a row, padded on the right.
pub(crate) fn padded(rows: &[Vec<Encoded>]) -> MicroBatch {
    build(rows, Layout::Bucket)
}

fn build(rows: &[Vec<Encoded>], layout: Layout) -> MicroBatch {
    let width = rows.iter().map(|row| length(row)).max().unwrap_or(0);
    let cells = rows.len() * width;
    let mut ids = vec![0; cells];
    let mut positions = vec![0; cells];
    let mut segments = vec![0; cells];
    let (mut places, mut targets) = (Vec::new(), Vec::new());
    for (row, examples) in rows.iter().enumerate() {
        let mut start = row * width;
        for (segment, example) in examples.iter().enumerate() {
            for (token, &id) in example.ids.iter().enumerate() {
                let cell = start + token;
                ids[cell] = i64::from(id);
                positions[cell] = token as i64;
                segments[cell] = segment as i64 + 1;
                if token >= example.prompt_tokens.max(1) {
                    places.push(cell as i64 - 1);
                    targets.push(i64::from(id));
                }
            }
            start += example.ids.len();
        }
    }
    let packed = (layout == Layout::Pack).then_some(Packed {
        positions,
        segments,
    });
    MicroBatch {
        rows: rows.len(),
        width,
        ids,
        packed,
        places,
        targets,
    }
}
