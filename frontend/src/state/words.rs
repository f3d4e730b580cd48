//! Names of things as people read them.

use illumine_types::{JobState, ToolKind};

/// The tool as a noun.
pub const fn tool_name(tool: ToolKind) -> &'static str {
    match tool {
        ToolKind::Search => "Search",
        ToolKind::Diffusion => "Painting",
        ToolKind::Code => "Charts",
        ToolKind::Edit => "Editing",
    }
}

/// What the tool does.
pub const fn tool_purpose(tool: ToolKind) -> &'static str {
    match tool {
        ToolKind::Search => "finds real pictures",
        ToolKind::Diffusion => "paints invented pictures",
        ToolKind::Code => "draws charts with Python",
        ToolKind::Edit => "changes earlier pictures",
    }
}

/// What the tool is doing right now.
pub const fn tool_at_work(tool: ToolKind) -> &'static str {
    match tool {
        ToolKind::Search => "Finding a picture",
        ToolKind::Diffusion => "Painting",
        ToolKind::Code => "Drawing a chart",
        ToolKind::Edit => "Changing a picture",
    }
}

/// What could not be done.
pub const fn tool_failed(tool: Option<ToolKind>) -> &'static str {
    match tool {
        Some(ToolKind::Search) => "No picture was found",
        Some(ToolKind::Diffusion) => "This picture could not be painted",
        Some(ToolKind::Code) => "This chart could not be drawn",
        Some(ToolKind::Edit) => "This picture could not be changed",
        None => "This picture could not be read from the text",
    }
}

pub const fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "Queued",
        JobState::Running => "Being made",
        JobState::Retrying => "Starting again",
        JobState::Succeeded => "Done",
        JobState::Failed => "Failed",
        JobState::Cancelled => "Cancelled",
    }
}

/// `1 picture`, `3 pictures`.
pub fn counted(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// An integer with thin spaces between thousands.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        assert_eq!(super::grouped(7), "7");
        assert_eq!(super::grouped(32_000), "32\u{202f}000");
        assert_eq!(super::grouped(1_000_000), "1\u{202f}000\u{202f}000");
    }
}
