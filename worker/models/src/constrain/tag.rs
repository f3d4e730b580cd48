//! Text with tags: what `illumine-types` calls a valid call, in strict JSON, as
//! `{"source": …, "description": …, "params": {…}}`, its keys in this order.
//!
//! One space may stand wherever JSON allows white space; more would let a model
//! write spaces for ever.

use super::string::{JsonString, Mark, Rules, Step};

/// Where a text with tags stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagGrammar {
    place: Place,
    /// Pictures that an edit may name.
    images: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// Outside of tags, perhaps in a mark.
    Text(Mark),
    /// Inside `<think>`, where a tag is none.
    Think(Mark),
    /// At an element of a tag; the tool once it is known.
    Tag {
        tool: Option<Tool>,
        element: u8,
        inner: Inner,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Tool {
    Search,
    Diffusion,
    Code,
    Edit,
}

/// Inside an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Inner {
    Start,
    Word(u8),
    Source(Tool, u8),
    String(JsonString),
    Index(u16),
}

/// A part of a tag.
#[derive(Clone, Copy)]
enum Element {
    /// An optional space.
    Space,
    Word(&'static [u8]),
    Source,
    String(Rules),
    /// A picture's number.
    Index,
}

use Element::{Index, Source, Space, String, Word};

const ANY: Element = String(Rules {
    filled: false,
    no_marks: true,
});
const FILLED: Element = String(Rules {
    filled: true,
    no_marks: true,
});

const HEAD: &[Element] = &[
    Space,
    Word(b"{"),
    Space,
    Word(b"\"source\""),
    Space,
    Word(b":"),
    Space,
    Source,
];

/// What follows the source, with the elements of `params` in its place.
macro_rules! body {
    ($($param:expr),*) => {
        &[
            Space, Word(b","), Space, Word(b"\"description\""), Space, Word(b":"), Space, ANY,
            Space, Word(b","), Space, Word(b"\"params\""), Space, Word(b":"), Space,
            Word(b"{"), Space, $($param),*, Space, Word(b"}"), Space, Word(b"}"), Space,
            Word(b"</imgen>"),
        ]
    };
}

const SEARCH: &[Element] = body![Word(b"\"query\""), Space, Word(b":"), Space, FILLED];
const DIFFUSION: &[Element] = body![Word(b"\"prompt\""), Space, Word(b":"), Space, FILLED];
const CODE: &[Element] = body![Word(b"\"code\""), Space, Word(b":"), Space, FILLED];
const EDIT: &[Element] = body![
    Word(INDEX_WORD),
    Space,
    Word(b":"),
    Space,
    Index,
    Space,
    Word(b","),
    Space,
    Word(b"\"prompt\""),
    Space,
    Word(b":"),
    Space,
    FILLED
];

/// The key of a picture's number, as it is written.
pub(super) const INDEX_WORD: &[u8] = b"\"img_index\"";
/// From that word to the number, among an edit's elements.
const INDEX_ELEMENTS: std::ops::RangeInclusive<usize> = 17..=21;

const TOOLS: [Tool; 4] = [Tool::Search, Tool::Diffusion, Tool::Code, Tool::Edit];

impl Tool {
    const fn quoted(self) -> &'static [u8] {
        match self {
            Self::Search => b"\"search\"",
            Self::Diffusion => b"\"diffusion\"",
            Self::Code => b"\"code\"",
            Self::Edit => b"\"edit\"",
        }
    }
}

const fn elements(tool: Option<Tool>) -> &'static [Element] {
    match tool {
        None => HEAD,
        Some(Tool::Search) => SEARCH,
        Some(Tool::Diffusion) => DIFFUSION,
        Some(Tool::Code) => CODE,
        Some(Tool::Edit) => EDIT,
    }
}

/// What a byte made of an element.
enum Read {
    /// Still in it.
    Inside(Inner),
    /// It ended with this byte.
    Ended,
    /// It ended before this byte.
    Passed,
}

impl TagGrammar {
    pub(super) fn new(inputs: usize) -> Self {
        Self {
            place: Place::Text(Mark::NONE),
            images: u16::try_from(inputs).unwrap_or(u16::MAX),
        }
    }

    /// A state behind which the same tokens may come, shared by many: how many
    /// pictures there are matters where an edit names one, and elsewhere only
    /// whether there is any, to every token that does not hold [`INDEX_WORD`].
    #[must_use]
    pub(super) fn simplest(self) -> Self {
        if let Place::Tag {
            tool: Some(Tool::Edit),
            element,
            ..
        } = self.place
            && INDEX_ELEMENTS.contains(&usize::from(element))
        {
            return self;
        }
        Self {
            images: self.images.min(1),
            ..self
        }
    }

    pub(super) const fn is_outside(self) -> bool {
        !matches!(self.place, Place::Tag { .. })
    }

    pub(super) fn step(self, byte: u8) -> Option<Self> {
        let at = |place| Some(Self { place, ..self });
        match self.place {
            Place::Text(mark) => match mark.step(byte, &[b"<imgen>", b"<think>"]) {
                Ok(0) => at(Place::Tag {
                    tool: None,
                    element: 0,
                    inner: Inner::Start,
                }),
                Ok(_) => at(Place::Think(Mark::NONE)),
                Err(mark) => at(Place::Text(mark)),
            },
            Place::Think(mark) => match mark.step(byte, &[b"</think>"]) {
                Ok(_) => at(Place::Text(Mark::NONE)),
                Err(mark) => at(Place::Think(mark)),
            },
            Place::Tag {
                tool,
                element,
                inner,
            } => self.tag(tool, element, inner, byte),
        }
    }

    fn tag(self, tool: Option<Tool>, element: u8, inner: Inner, byte: u8) -> Option<Self> {
        let (mut element, mut inner) = (element, inner);
        loop {
            let current = *elements(tool).get(usize::from(element))?;
            let (tool, element_then, inner_then) = match self.read(current, inner, byte)? {
                Read::Inside(inner) => (tool, element, inner),
                Read::Ended => match inner {
                    Inner::Source(tool, _) => (Some(tool), 0, Inner::Start),
                    _ => (tool, element + 1, Inner::Start),
                },
                Read::Passed => {
                    (element, inner) = (element + 1, Inner::Start);
                    continue;
                }
            };
            if usize::from(element_then) == elements(tool).len() {
                return Some(Self {
                    place: Place::Text(Mark::NONE),
                    images: self.images.saturating_add(1),
                });
            }
            let place = Place::Tag {
                tool,
                element: element_then,
                inner: inner_then,
            };
            return Some(Self { place, ..self });
        }
    }

    fn read(self, element: Element, inner: Inner, byte: u8) -> Option<Read> {
        match element {
            Space => Some(match byte {
                b' ' => Read::Ended,
                _ => Read::Passed,
            }),
            Word(word) => {
                let (Inner::Start | Inner::Word(_)) = inner else {
                    return None;
                };
                let count = match inner {
                    Inner::Word(count) => count,
                    _ => 0,
                };
                read_word(word, count, byte).map(|end| match end {
                    true => Read::Ended,
                    false => Read::Inside(Inner::Word(count + 1)),
                })
            }
            Source => match inner {
                Inner::Source(tool, count) if count > 1 => read_word(tool.quoted(), count, byte)
                    .map(|end| match end {
                        true => Read::Ended,
                        false => Read::Inside(Inner::Source(tool, count + 1)),
                    }),
                // The sources differ in their first letter.
                Inner::Source(..) => TOOLS
                    .into_iter()
                    .filter(|tool| *tool != Tool::Edit || self.images > 0)
                    .find(|tool| tool.quoted().get(1) == Some(&byte))
                    .map(|tool| Read::Inside(Inner::Source(tool, 2))),
                _ => (byte == b'"').then_some(Read::Inside(Inner::Source(Tool::Search, 1))),
            },
            String(rules) => {
                let state = match inner {
                    Inner::String(state) => state,
                    _ => JsonString::START,
                };
                Some(match state.step(byte, rules)? {
                    Step::Inside(state) => Read::Inside(Inner::String(state)),
                    Step::Closed => Read::Ended,
                })
            }
            Index => {
                if !byte.is_ascii_digit() {
                    return matches!(inner, Inner::Index(_)).then_some(Read::Passed);
                }
                let before = match inner {
                    Inner::Index(0) => return None,
                    Inner::Index(number) => number,
                    _ => 0,
                };
                let digit = u16::from(byte - b'0');
                let number = before.checked_mul(10)?.checked_add(digit)?;
                (number < self.images).then_some(Read::Inside(Inner::Index(number)))
            }
        }
    }
}

/// Whether `byte`, the right one behind `count` of `word`, ends it.
fn read_word(word: &[u8], count: u8, byte: u8) -> Option<bool> {
    let count = usize::from(count);
    (word.get(count) == Some(&byte)).then_some(count + 1 == word.len())
}

#[cfg(test)]
mod tests {
    use illumine_types::tag::{
        Limits, OPEN, TagEvent, TagReader, read_all, validate_index, write_tag,
    };
    use illumine_types::tool::{ToolCall, ToolRequest};
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &str, inputs: usize) -> bool {
        text.bytes()
            .try_fold(TagGrammar::new(inputs), TagGrammar::step)
            .is_some_and(TagGrammar::is_outside)
    }

    #[test]
    fn text_is_free_and_thinking_is_no_tag() {
        for text in [
            "",
            "a < b",
            "<img>",
            "<imgen",
            "<<imgen",
            "<think><imgen>no</think> é",
            "</imgen>",
        ] {
            assert!(accepts(text, 0), "{text}");
        }
        for text in [
            "<imgen>",
            "<imgen>no",
            "<<imgen>x",
            "<think>a</think><imgen>b",
        ] {
            assert!(!accepts(text, 0), "{text}");
        }
    }

    #[test]
    fn each_fault_of_a_tag_is_refused() {
        let good =
            r#"<imgen>{"source": "search", "description": "", "params": {"query": "q"}}</imgen>"#;
        assert!(accepts(good, 0));
        assert!(accepts(&good.replace(": ", ":").replace(", ", ","), 0));
        let faults = [
            ("search", "paint"),
            ("\"query\"", "\"prompt\""),
            ("\"q\"", "\"\""),
            ("\"q\"", "\" \""),
            ("\"q\"", "7"),
            ("\"q\"", "'q'"),
            ("\"q\"", "\"q\", \"n\": 1"),
            ("}}", "}"),
            ("</imgen>", ""),
            ("{\"source\"", "{  \"source\""),
            ("\"description\"", "\"descriptor\""),
        ];
        for (from, to) in faults {
            let bad = good.replace(from, to);
            assert!(!accepts(&bad, 0), "{bad}");
        }
    }

    #[test]
    fn the_numbers_elements_are_known_by_their_place() {
        assert!(matches!(EDIT[*INDEX_ELEMENTS.start()], Word(INDEX_WORD)));
        assert!(matches!(EDIT[*INDEX_ELEMENTS.end()], Index));
    }

    #[test]
    fn an_edit_names_a_picture_that_is_there() {
        let edit = |index: &str| {
            format!(
                r#"<imgen>{{"source": "edit", "description": "d", "params": {{"img_index": {index}, "prompt": "p"}}}}</imgen>"#
            )
        };
        let other =
            r#"<imgen>{"source": "code", "description": "d", "params": {"code": "c"}}</imgen>"#;
        assert!(!accepts(&edit("0"), 0));
        assert!(accepts(&edit("0"), 1));
        assert!(!accepts(&edit("1"), 1));
        assert!(accepts(&format!("{other}{}{}", edit("0"), edit("1")), 0));
        assert!(accepts(&edit("10"), 11));
        for bad in ["-1", "01", "1.0", "", "99999"] {
            assert!(!accepts(&edit(bad), 60), "{bad}");
        }
    }

    fn call() -> impl Strategy<Value = ToolCall> {
        let text = || "\\PC{0,12}|[<>/imgen\"'\\\\{}\\n ]{0,24}";
        let request = (0..4, text(), 0_usize..5).prop_map(|(kind, text, img_index)| {
            let text = format!("x{text}");
            match kind {
                0 => ToolRequest::Search { query: text },
                1 => ToolRequest::Diffusion { prompt: text },
                2 => ToolRequest::Code { code: text },
                _ => ToolRequest::Edit {
                    img_index,
                    prompt: text,
                },
            }
        });
        (request, text()).prop_map(|(request, description)| ToolCall {
            request,
            description,
        })
    }

    /// Bytes that move a tag on, so that random walks get somewhere.
    fn walk(inputs: usize, mut choices: impl FnMut(usize) -> usize) -> std::string::String {
        let mut state = TagGrammar::new(inputs);
        let mut text = OPEN.as_bytes().to_vec();
        for byte in OPEN.bytes() {
            state = state.step(byte).unwrap();
        }
        while !state.is_outside() && text.len() < 3000 {
            let next: Vec<u8> = (0..=255)
                .filter(|&byte| state.step(byte).is_some())
                .collect();
            // A string that may end does so now and then.
            let byte = match next.contains(&b'"') && choices(8) == 0 {
                true => b'"',
                false => next[choices(next.len())],
            };
            text.push(byte);
            state = state.step(byte).unwrap();
        }
        std::string::String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_a_writer_writes_is_accepted(calls in proptest::collection::vec(call(), 1..4)) {
            let text: std::string::String = calls.iter().map(|call| write_tag(call) + " and ").collect();
            let valid = calls.iter().enumerate().all(|(index, call)| validate_index(call, 2 + index).is_ok());
            prop_assert_eq!(accepts(&text, 2), valid, "{}", text);
        }

        /// Any path through the grammar is one valid call to the reader.
        #[test]
        fn whatever_is_accepted_the_reader_takes(seed in any::<u64>()) {
            let mut state = seed | 1;
            let text = walk(3, |bound| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % bound as u64) as usize
            });
            let events = read_all(&text);
            let [TagEvent::Tag { call: Ok(call), .. }] = events.as_slice() else {
                return Err(TestCaseError::fail(format!("{text:?} → {events:?}")));
            };
            prop_assert!(validate_index(call, 3).is_ok());
            let mut reader = TagReader::new(Limits::default());
            prop_assert!(reader.finish().is_empty());
        }
    }
}
