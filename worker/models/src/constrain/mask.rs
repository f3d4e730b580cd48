//! Which tokens may follow a state of a grammar.

use std::collections::HashMap;
use std::sync::Arc;

use super::Grammar;
use super::tag::INDEX_WORD;
use crate::tokenizer::ChatTokenizer;

/// Masks that are remembered: at most some tens of MiB for a vocabulary of
/// 150,000 tokens.
const REMEMBERED: usize = 1024;

/// The tokens that may come next, as bits.
#[derive(Debug, PartialEq, Eq)]
pub struct Mask {
    bits: Box<[u64]>,
    allowed: usize,
}

impl Mask {
    /// Whether `token` may come.
    pub fn allows(&self, token: u32) -> bool {
        let (word, bit) = (token as usize / 64, token % 64);
        self.bits.get(word).is_some_and(|word| word >> bit & 1 == 1)
    }

    /// Whether no token may come.
    pub const fn is_empty(&self) -> bool {
        self.allowed == 0
    }

    /// Writes `logits` to `out`, those of tokens that may not come as -∞.
    pub fn apply(&self, logits: &[f32], out: &mut Vec<f32>) {
        out.clear();
        let numbers = logits.iter().zip(0_u32..);
        out.extend(numbers.map(|(&logit, token)| match self.allows(token) {
            true => logit,
            false => f32::NEG_INFINITY,
        }));
    }

    fn allow(&mut self, token: u32) {
        if let Some(word) = self.bits.get_mut(token as usize / 64) {
            *word |= 1 << (token % 64);
            self.allowed += 1;
        }
    }
}

/// The masks of one vocabulary.
#[derive(Debug)]
pub struct Masks {
    /// Tokens with their bytes in the order of the bytes, and how many of these
    /// each has in common with the one before: a trie, walked depth first.
    tokens: Vec<(Box<[u8]>, usize, u32)>,
    /// Tokens that stand for no text.
    silent: Vec<u32>,
    vocab_size: usize,
    /// Whether states may be taken for their simplest one.
    simplify: bool,
    remembered: HashMap<Grammar, Arc<Mask>>,
}

impl Masks {
    /// Prepares the vocabulary of a model with `vocab_size` logits.
    pub fn new(tokenizer: &ChatTokenizer, vocab_size: usize) -> Self {
        let mut tokens: Vec<(Box<[u8]>, usize, u32)> = Vec::new();
        let mut silent = Vec::new();
        for token in (0_u32..).take(vocab_size) {
            match tokenizer.token_bytes(token) {
                Some(bytes) if !bytes.is_empty() => tokens.push((Box::from(bytes), 0, token)),
                _ => silent.push(token),
            }
        }
        tokens.sort_unstable();
        let mut before: &[u8] = &[];
        for (bytes, common, _) in &mut tokens {
            let pairs = before.iter().zip(bytes.iter());
            *common = pairs.take_while(|(a, b)| a == b).count();
            before = bytes;
        }
        let spans = |bytes: &[u8]| {
            bytes
                .windows(INDEX_WORD.len())
                .any(|part| part == INDEX_WORD)
        };
        let simplify = !tokens.iter().any(|(bytes, ..)| spans(bytes));
        Self {
            tokens,
            silent,
            vocab_size,
            simplify,
            remembered: HashMap::new(),
        }
    }

    /// The tokens that may come behind `state`.
    pub fn mask(&mut self, state: Grammar) -> Arc<Mask> {
        let state = match self.simplify {
            true => state.simplest(),
            false => state,
        };
        if let Some(mask) = self.remembered.get(&state) {
            return Arc::clone(mask);
        }
        if self.remembered.len() == REMEMBERED {
            self.remembered.clear();
        }
        let mask = Arc::new(self.compute(state));
        self.remembered.insert(state, Arc::clone(&mask));
        mask
    }

    fn compute(&self, state: Grammar) -> Mask {
        let mut mask = Mask {
            bits: vec![0; self.vocab_size.div_ceil(64)].into_boxed_slice(),
            allowed: 0,
        };
        if state.may_end() {
            for &token in &self.silent {
                mask.allow(token);
            }
        }
        // States behind each byte of the token at hand.
        let mut path = vec![state];
        // The first byte of it that may not follow.
        let mut dead = None;
        for (bytes, common, token) in &self.tokens {
            if dead.is_some_and(|dead| dead < *common) {
                continue;
            }
            path.truncate(common + 1);
            dead = None;
            for (at, &byte) in bytes.iter().enumerate().skip(*common) {
                match path.last().and_then(|state| state.step(byte)) {
                    Some(state) => path.push(state),
                    None => {
                        dead = Some(at);
                        break;
                    }
                }
            }
            if dead.is_none() {
                mask.allow(*token);
            }
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::AddedToken;

    use super::*;
    use crate::constrain::Constraint;
    use crate::tokenizer::testing::byte_tokenizer;

    /// Against the definition, token by token.
    fn check(masks: &mut Masks, tokenizer: &ChatTokenizer, state: Grammar) {
        let mask = masks.mask(state);
        for token in 0..masks.vocab_size as u32 {
            let expected = match tokenizer.token_bytes(token) {
                Some(bytes) if !bytes.is_empty() => state.run(bytes).is_some(),
                _ => state.may_end(),
            };
            assert_eq!(mask.allows(token), expected, "{token} behind {state:?}");
        }
    }

    #[test]
    fn a_mask_allows_what_may_follow_and_nothing_else() {
        let tokenizer = byte_tokenizer();
        let mut masks = Masks::new(&tokenizer, tokenizer.vocab_size() + 3);
        let tag = r#"th <imgen>{"source": "edit", "description": "th\u00e9", "params": {"img_index": 1, "prompt": "x"}}</imgen> "#;
        let json = r#"{"th": [1.5e3, true, {"b": "é"}]}"#;
        for (constraint, text) in [
            (Constraint::Tags { inputs: 2 }, tag),
            (Constraint::JsonObject, json),
        ] {
            let mut state = Grammar::start(constraint).unwrap();
            for byte in text.bytes() {
                check(&mut masks, &tokenizer, state);
                state = state.step(byte).unwrap();
            }
            check(&mut masks, &tokenizer, state);
        }
        assert_eq!(Grammar::start(Constraint::None), None);
    }

    /// Numbers of one and two digits, behind other tags, with tokens that reach
    /// from outside of a tag to the number and without.
    #[test]
    fn pictures_are_counted_though_masks_are_shared() {
        let long = r#"<imgen>{"source": "edit", "description": "", "params": {"img_index": 1"#;
        let mut inner = byte_tokenizer().inner().clone();
        inner.add_tokens(&[AddedToken::from(long, false)]);
        let spanning = ChatTokenizer::new(inner, None).unwrap();
        let search =
            r#"<imgen>{"source": "search", "description": "d", "params": {"query": "q"}}</imgen> "#;
        let edit = r#"<imgen>{"source": "edit", "description": "d", "params": {"img_index": 10, "prompt": "x"}}</imgen>"#;
        for tokenizer in [&byte_tokenizer(), &spanning] {
            let mut masks = Masks::new(tokenizer, tokenizer.vocab_size());
            for inputs in [0, 1, 9] {
                let text = format!("{search}{search}{edit}");
                let mut state = Grammar::start(Constraint::Tags { inputs }).unwrap();
                for byte in text.bytes() {
                    check(&mut masks, tokenizer, state);
                    let Some(next) = state.step(byte) else {
                        assert!(inputs < 9, "the number is in range");
                        break;
                    };
                    state = next;
                }
            }
        }
    }

    #[test]
    fn a_tag_like_one_before_it_needs_no_new_mask() {
        let tokenizer = byte_tokenizer();
        let mut masks = Masks::new(&tokenizer, tokenizer.vocab_size());
        let search =
            r#"<imgen>{"source": "search", "description": "d", "params": {"query": "q"}}</imgen> "#;
        let mut state = Grammar::start(Constraint::Tags { inputs: 1 }).unwrap();
        let mut remembered = Vec::new();
        for _ in 0..3 {
            for byte in search.bytes() {
                masks.mask(state);
                state = state.step(byte).unwrap();
            }
            remembered.push(masks.remembered.len());
        }
        assert_eq!(remembered[0], remembered[2], "{remembered:?}");
    }

    #[test]
    fn what_may_not_come_gets_no_probability() {
        let tokenizer = byte_tokenizer();
        let mut masks = Masks::new(&tokenizer, 300);
        let mask = masks.mask(Grammar::start(Constraint::JsonObject).unwrap());
        let open = tokenizer.encode("{").unwrap()[0];
        assert!(!mask.is_empty());
        let mut masked = Vec::new();
        mask.apply(&[1.0; 300], &mut masked);
        let kept: Vec<usize> = (0..300).filter(|&at| masked[at] == 1.0).collect();
        assert_eq!(kept, [open as usize]);
    }
}
