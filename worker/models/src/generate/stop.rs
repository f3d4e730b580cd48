//! Stop texts in a stream.

/// Lets text through until a stop text appears. What might be the beginning of
/// one is held back until it is known.
#[derive(Clone, Debug)]
pub(crate) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

/// What came of a piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Text to give out; more may come.
    More(String),
    /// Text before the stop; nothing may follow.
    Stopped(String),
}

impl StopFilter {
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty());
        Self {
            stops: stops.cloned().collect(),
            held: String::new(),
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> Passed {
        self.held.push_str(text);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min();
        if let Some(at) = found {
            self.held.truncate(at);
            return Passed::Stopped(std::mem::take(&mut self.held));
        }
        let keep = self.beginning_of_a_stop();
        let rest = self.held.split_off(self.held.len() - keep);
        Passed::More(std::mem::replace(&mut self.held, rest))
    }

    /// What is still held when the stream ends.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes of the longest end of `held` that begins a stop text.
    fn beginning_of_a_stop(&self) -> usize {
        let longest = |stop: &String| {
            stop.char_indices()
                .skip(1)
                .map(|(at, _)| at)
                .filter(|&at| self.held.ends_with(&stop[..at]))
                .max()
        };
        self.stops.iter().filter_map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run<'a>(stops: &[&str], pieces: impl IntoIterator<Item = &'a str>) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut filter = StopFilter::new(&stops);
        let mut text = String::new();
        for piece in pieces {
            match filter.push(piece) {
                Passed::More(more) => text += &more,
                Passed::Stopped(last) => return (text + &last, true),
            }
        }
        text += &filter.finish();
        (text, false)
    }

    #[test]
    fn a_stop_across_pieces_is_seen_and_left_out() {
        assert_eq!(
            run(&["</end>"], ["one </e", "nd> two"]),
            ("one ".to_owned(), true)
        );
        assert_eq!(
            run(&["</end>"], ["one </e", "ra>"]),
            ("one </era>".to_owned(), false)
        );
        assert_eq!(
            run(&["</end>"], ["half </en"]),
            ("half </en".to_owned(), false)
        );
    }

    #[test]
    fn the_first_of_several_ends_it() {
        assert_eq!(run(&["xx", "b"], ["abxx"]), ("a".to_owned(), true));
        assert_eq!(run(&["", "é漢"], ["aé", "漢b"]), ("a".to_owned(), true));
    }

    #[test]
    fn text_that_cannot_begin_a_stop_is_not_held() {
        let mut filter = StopFilter::new(&["stop".to_owned()]);
        assert_eq!(filter.push("hello"), Passed::More("hello".to_owned()));
        assert_eq!(filter.push(" st"), Passed::More(" ".to_owned()));
    }

    proptest! {
        #[test]
        fn splits_do_not_matter(text in "[ab]{0,12}", at in 0_usize..12, stop in "[ab]{1,3}") {
            let at = at.min(text.len());
            let whole = run(&[&stop], [text.as_str()]);
            prop_assert_eq!(run(&[&stop], [&text[..at], &text[at..]]), whole.clone());
            let expected = text.split(stop.as_str()).next().unwrap_or_default();
            prop_assert_eq!(whole.0, expected);
        }
    }
}
