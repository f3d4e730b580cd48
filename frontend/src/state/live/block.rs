//! Blocks of a document in the making.

use illumine_types::Outcome;
use illumine_types::document::ImageBlock;

use crate::markdown::TextFlow;

/// What stays the same while a block changes. A text is known by the number of
/// pictures before it, so that an empty text left out shifts no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKey {
    Text(usize),
    Image(usize),
}

/// One block. `revision` grows with every change.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveBlock {
    Text {
        flow: TextFlow,
        after_images: usize,
        revision: u32,
    },
    Image(LiveImage),
}

impl LiveBlock {
    pub const fn key(&self) -> BlockKey {
        match self {
            Self::Text { after_images, .. } => BlockKey::Text(*after_images),
            Self::Image(image) => BlockKey::Image(image.block.index),
        }
    }

    pub const fn revision(&self) -> u32 {
        match self {
            Self::Text { revision, .. } => *revision,
            Self::Image(image) => image.revision,
        }
    }

    pub const fn as_image(&self) -> Option<&LiveImage> {
        match self {
            Self::Image(image) => Some(image),
            Self::Text { .. } => None,
        }
    }

    pub fn is_text(&self, markdown: &str) -> bool {
        matches!(self, Self::Text { flow, .. } if flow.source() == markdown)
    }
}

/// A picture and how far its drawing is.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveImage {
    pub block: ImageBlock,
    /// When its drawing began, if it was seen to begin.
    pub started_ms: Option<i64>,
    /// Done share in 0..=1, if the tool says.
    pub fraction: Option<f32>,
    /// Where its drawing stands, as a `data:` URL of a picture.
    pub preview: Option<String>,
    /// Why it could not be drawn again.
    pub note: Option<String>,
    pub revision: u32,
}

impl LiveImage {
    pub const fn pending(block: ImageBlock, at_ms: i64) -> Self {
        Self {
            block,
            started_ms: Some(at_ms),
            fraction: None,
            preview: None,
            note: None,
            revision: 0,
        }
    }

    /// One whose outcome is known from the stored document.
    pub const fn settled(block: ImageBlock) -> Self {
        Self {
            block,
            started_ms: None,
            fraction: None,
            preview: None,
            note: None,
            revision: 0,
        }
    }

    pub const fn is_pending(&self) -> bool {
        matches!(self.block.outcome, Outcome::Pending)
    }

    /// Progress never goes back while one picture is drawn.
    pub fn advance(&mut self, fraction: f32, preview: Option<&str>) {
        if !self.is_pending() || !fraction.is_finite() {
            return;
        }
        let before = self.fraction.unwrap_or(0.0);
        self.fraction = Some(fraction.clamp(before, 1.0));
        if let Some(preview) = preview.filter(|url| is_picture(url)) {
            self.preview = Some(preview.to_owned());
        }
        self.revision += 1;
    }

    pub fn finish(&mut self, outcome: Outcome) {
        self.block.outcome = outcome;
        self.fraction = None;
        self.preview = None;
        self.revision += 1;
    }

    pub fn restart(&mut self, now_ms: i64) {
        self.block.outcome = Outcome::Pending;
        self.started_ms = Some(now_ms);
        self.fraction = None;
        self.preview = None;
        self.note = None;
        self.revision += 1;
    }
}

/// Whether `url` holds a picture itself: nothing else is loaded for a preview.
fn is_picture(url: &str) -> bool {
    let data = url.strip_prefix("data:image/jpeg;base64,");
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    data.is_some_and(|data| data.bytes().all(letter))
}
