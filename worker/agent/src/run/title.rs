//! A document's title.

use illumine_types::Block;

const LONGEST: usize = 120;

/// The first heading, else the first words of the prompt.
pub(super) fn title(blocks: &[Block], prompt: &str) -> String {
    let texts = blocks.iter().filter_map(|block| match block {
        Block::Text { markdown } => Some(markdown.as_str()),
        Block::Image(_) => None,
    });
    let heading = texts.flat_map(headings).find(|heading| !heading.is_empty());
    let first_line = || prompt.lines().map(str::trim).find(|line| !line.is_empty());
    let title = heading
        .or_else(|| first_line().map(ToOwned::to_owned))
        .unwrap_or_default();
    shortened(&title)
}

/// Plain texts of the `#` headings, those in fenced code left out.
fn headings(markdown: &str) -> impl Iterator<Item = String> {
    let mut fenced = false;
    markdown.lines().filter_map(move |line| {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            fenced = !fenced;
        }
        let text = line.trim_start_matches('#');
        let level = line.len() - text.len();
        let is_heading = !fenced && (1..=6).contains(&level) && text.starts_with([' ', '\t']);
        is_heading.then(|| plain(text))
    })
}

fn plain(text: &str) -> String {
    let text = text.trim().trim_end_matches('#');
    let kept: String = text
        .chars()
        .filter(|character| !matches!(character, '*' | '`' | '_'))
        .collect();
    kept.trim().to_owned()
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let cut: String = text.chars().take(LONGEST - 1).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(markdown: &str) -> String {
        let markdown = markdown.to_owned();
        title(&[Block::Text { markdown }], "Write about\nred pandas")
    }

    #[test]
    fn the_first_heading_is_the_title() {
        assert_eq!(of("Intro\n\n## **Red** `pandas` ##\n# Later"), "Red pandas");
        assert_eq!(
            of("```\n# no heading\n```\n#no\n####### no\n"),
            "Write about"
        );
        assert_eq!(
            of(&format!("# {}", "é".repeat(200))).chars().count(),
            LONGEST
        );
    }
}
