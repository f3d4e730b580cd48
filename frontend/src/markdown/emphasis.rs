//! Emphasis by the delimiter algorithm (CommonMark 0.31, 6.2 and appendix).

/// A piece of a line on its way to HTML.
#[derive(Debug)]
pub enum Node {
    /// Safe HTML.
    Html(String),
    Run(Run),
}

/// A run of `*`, `_` or `~`.
#[derive(Debug)]
pub struct Run {
    mark: char,
    /// Marks that no emphasis has taken.
    left: usize,
    /// How many there were.
    length: usize,
    opens: bool,
    closes: bool,
    closing: String,
    opening: String,
}

impl Run {
    /// A run between two characters, which say whether it may open and close.
    pub fn new(mark: char, length: usize, before: char, after: char) -> Self {
        let is_space = |c: char| c.is_whitespace();
        let is_mark = |c: char| !c.is_alphanumeric() && !c.is_whitespace();
        let left_flanking =
            !is_space(after) && (!is_mark(after) || is_space(before) || is_mark(before));
        let right_flanking =
            !is_space(before) && (!is_mark(before) || is_space(after) || is_mark(after));
        let (opens, closes) = if mark == '_' {
            (
                left_flanking && (!right_flanking || is_mark(before)),
                right_flanking && (!left_flanking || is_mark(after)),
            )
        } else {
            (left_flanking, right_flanking)
        };
        Self {
            mark,
            left: length,
            length,
            opens,
            closes,
            closing: String::new(),
            opening: String::new(),
        }
    }

    fn matches(&self, closer: &Self) -> bool {
        if self.mark != closer.mark || !self.opens || self.left == 0 {
            return false;
        }
        if self.mark == '~' {
            return self.left == closer.left;
        }
        // The rule of three.
        let both = self.closes || closer.opens;
        let sum = self.length + closer.length;
        !both
            || !sum.is_multiple_of(3)
            || (self.length.is_multiple_of(3) && closer.length.is_multiple_of(3))
    }

    fn kind(&self) -> usize {
        let mark = match self.mark {
            '*' => 0,
            '_' => 1,
            _ => 2,
        };
        mark * 6 + usize::from(self.opens) * 3 + self.length % 3
    }
}

/// Pairs the runs after `from` and joins the nodes there to HTML.
pub fn join(nodes: &mut Vec<Node>, from: usize) -> String {
    // For each kind of closer, where looking for its opener stops.
    let mut floors = [from; 18];
    let mut at = from;
    while at < nodes.len() {
        let kind = match &nodes[at] {
            Node::Run(run) if run.closes && run.left > 0 => run.kind(),
            _ => {
                at += 1;
                continue;
            }
        };
        let opener = (floors[kind]..at).rev().find(|before| {
            matches!((&nodes[*before], &nodes[at]),
                (Node::Run(opener), Node::Run(closer)) if opener.matches(closer))
        });
        match opener {
            Some(opener) => pair(nodes, opener, at),
            None => {
                floors[kind] = at;
                at += 1;
            }
        }
    }
    let mut html = String::new();
    for node in nodes.drain(from..) {
        match node {
            Node::Html(text) => html.push_str(&text),
            Node::Run(run) => {
                html.push_str(&run.closing);
                html.extend(std::iter::repeat_n(run.mark, run.left));
                html.push_str(&run.opening);
            }
        }
    }
    html
}

fn pair(nodes: &mut [Node], opener: usize, closer: usize) {
    // Runs between the two can no longer be part of emphasis.
    for node in &mut nodes[opener + 1..closer] {
        if let Node::Run(run) = node {
            run.opens = false;
            run.closes = false;
        }
    }
    let (before, after) = nodes.split_at_mut(closer);
    let (Node::Run(opener), Node::Run(closer)) = (&mut before[opener], &mut after[0]) else {
        return;
    };
    let (taken, element) = match (opener.mark, opener.left.min(closer.left)) {
        ('~', length) => (length, "del"),
        (_, 1) => (1, "em"),
        _ => (2, "strong"),
    };
    opener.left -= taken;
    closer.left -= taken;
    opener.opening.insert_str(0, &format!("<{element}>"));
    closer.closing.push_str(&format!("</{element}>"));
}
