//! The pictures that a request may ask for, and the words for each.

/// How a chart shows its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chart {
    /// Categories side by side.
    Bar,
    /// A value over the years.
    Line,
    /// Shares of a whole.
    Pie,
    /// Two quantities against each other.
    Scatter,
}

/// A change to an earlier picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The instruction, with `{}` in place of the picture's name.
    pub instruction: &'static str,
    /// What the picture then is, after "now".
    pub result: &'static str,
}

/// The changes that the corpus knows.
pub const EFFECTS: &[Effect] = &[
    effect("make {} snowy", "snowy"),
    effect("make {} night", "at night"),
    effect("make {} rainy", "rainy"),
    effect("make {} sunny", "sunny"),
    effect("make {} darker", "darker"),
    effect("make {} brighter", "brighter"),
    effect("turn {} black and white", "black and white"),
    effect("turn {} into a pencil sketch", "a pencil sketch"),
    effect("turn {} into a watercolour", "a watercolour"),
    effect("show {} at sunset", "at sunset"),
    effect("show {} in autumn", "in autumn"),
];

const fn effect(instruction: &'static str, result: &'static str) -> Effect {
    Effect {
        instruction,
        result,
    }
}

/// One picture of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// A real picture: `search`.
    Photo,
    /// An invented picture: `diffusion`.
    Painting,
    /// Numbers: `code`.
    Chart(Chart),
    /// An earlier picture changed: `edit`.
    Edit {
        /// Position among the input pictures and the document's pictures before it.
        parent: usize,
        /// The change.
        effect: Effect,
    },
}

impl Picture {
    /// The tag's `source`.
    pub fn source(self) -> &'static str {
        match self {
            Self::Photo => "search",
            Self::Painting => "diffusion",
            Self::Chart(_) => "code",
            Self::Edit { .. } => "edit",
        }
    }

    /// What a document calls it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Painting => "painting",
            Self::Chart(chart) => chart.noun(),
            Self::Edit { .. } => "edited picture",
        }
    }

    /// What people call it when they ask.
    pub fn asked_as(self) -> &'static [&'static str] {
        match self {
            Self::Photo => &["photo", "photo", "photograph", "picture", "real photo"],
            Self::Painting => &["painting", "painting", "illustration", "drawing"],
            Self::Chart(Chart::Bar) => &["bar chart", "bar chart", "bar graph", "chart", "graph"],
            Self::Chart(Chart::Line) => &["line chart", "line chart", "line graph"],
            Self::Chart(Chart::Pie) => &["pie chart"],
            Self::Chart(Chart::Scatter) => &["scatter plot", "scatter plot", "scatter chart"],
            Self::Edit { .. } => &["edited picture"],
        }
    }
}

impl Chart {
    /// As in "a bar chart".
    pub fn noun(self) -> &'static str {
        match self {
            Self::Bar => "bar chart",
            Self::Line => "line chart",
            Self::Pie => "pie chart",
            Self::Scatter => "scatter plot",
        }
    }
}
