//! The words of one picture.

use serde::{Deserialize, Serialize};

/// What is known of a picture; also the JSON file beside it in a folder, where
/// `id` is the picture's file name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LibraryEntry {
    /// Names the picture to [`super::LibrarySource::get`].
    pub id: String,
    pub title: String,
    /// What is to be seen, in as many words as people may search for.
    pub caption: String,
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(alias = "licence", skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The page where it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}
