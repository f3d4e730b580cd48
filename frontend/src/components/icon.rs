//! Icons as inline SVG: strokes of the text's colour on a 24-unit square.

use illumine_types::ToolKind;
use leptos::prelude::*;

/// Which icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    Compose,
    Documents,
    Search,
    Diffusion,
    Code,
    Edit,
    Sun,
    Moon,
    System,
    Close,
    Download,
    Trash,
    Again,
    Picture,
    Sliders,
    Alert,
    Stop,
    Leave,
    Chevron,
    Key,
    Arrow,
    Training,
    Play,
    Plus,
}

impl Glyph {
    pub const fn of(tool: ToolKind) -> Self {
        match tool {
            ToolKind::Search => Self::Search,
            ToolKind::Diffusion => Self::Diffusion,
            ToolKind::Code => Self::Code,
            ToolKind::Edit => Self::Edit,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Compose => {
                "M20.5 3.5C13 4 7.5 8.5 6 17l-1.5 3.5M6 17c6 .5 10-1.500 11.500-6H13l5.500-1.500c1-2 1.700-4 2-6"
            }
            Self::Documents => "M7 3.500h7.500l4 4v13H7zM14.500 3.500v4h4M10 12h5.500M10 16h5.500",
            Self::Search => "M10.500 4.500a6 6 0 1 0 0 12a6 6 0 0 0 0-12zM15 15l5 5",
            Self::Diffusion => {
                "M11 3.500l1.900 5.100L18 10.500l-5.100 1.900L11 17.500l-1.900-5.100L4 10.500l5.100-1.900zM18.500 15.500v5M16 18h5"
            }
            Self::Code => "M4 4v16h16M8.500 16v-4M13 16V8M17.500 16v-6",
            Self::Edit => {
                "M4.500 19.500L14 10M12 8l4 4M17.500 3v4M15.500 5h4M20 12v3M18.500 13.500h3M8 4v2M7 5h2"
            }
            Self::Sun => {
                "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400"
            }
            Self::Moon => "M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10z",
            Self::System => "M4 5h16v11H4zM9 20h6M12 16v4",
            Self::Close => "M6 6l12 12M18 6L6 18",
            Self::Download => "M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14",
            Self::Trash => {
                "M4.500 6.500h15M9.500 6.500V4h5v2.500M6.500 6.500l1 13.500h9l1-13.500M10.500 10.500v6M13.500 10.500v6"
            }
            Self::Again => "M19.500 12a7.500 7.500 0 1 1-2.200-5.300L19.500 9M19.500 4v5h-5",
            Self::Picture => "M4 5h16v14H4zM4 16l5-5 4.500 4.500L16 13l4 4M15.500 8.500v.01",
            Self::Sliders => "M4 7h9M17 7h3M15 5v4M4 12h3M11 12h9M9 10v4M4 17h11M19 17h1M17 15v4",
            Self::Alert => "M12 4L2.800 19.500h18.400zM12 10v4.500M12 17v.01",
            Self::Stop => "M7 7h10v10H7z",
            Self::Leave => "M14 4.500H5.500v15H14M10 12h10.500M17 8.500l3.500 3.500-3.500 3.500",
            Self::Chevron => "M7 10l5 5 5-5",
            Self::Key => {
                "M8 11a4 4 0 1 0 0 8a4 4 0 0 0 0-8zM11 12.500L19.500 4M16 7.500l2.500 2.500"
            }
            Self::Arrow => "M5 12h14M13 6l6 6-6 6",
            Self::Training => "M4 4v16h16M7.500 16l3.500-5 3 2.500L19.500 6.500M15.500 6.500h4v4",
            Self::Play => "M8 5.500v13l10.500-6.500z",
            Self::Plus => "M12 5v14M5 12h14",
        }
    }
}

/// Decoration beside words; screen readers pass over it.
#[component]
pub fn Icon(glyph: Glyph) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d=glyph.path()></path>
        </svg>
    }
}
