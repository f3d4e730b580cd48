//! The demo policy's corpus: prompts and the short illustrated reports that
//! answer them, made from templates.
//!
//! What it has to teach a small model is to *copy a topic it has never seen*
//! from the prompt into title, text and tags. So a topic is always written in
//! the same way, most topics are rare or invented words, and templates are few
//! enough to be learnt quickly.
//!
//! Example `i` of a seed is a function of the seed, `i` and the [`Stage`] alone.

pub mod chart;
pub mod document;
pub mod form;
pub mod picture;
pub mod request;
pub mod rng;
pub mod topic;

use serde::{Deserialize, Serialize};

pub use picture::Picture;
pub use request::Request;
pub use rng::Rng;
pub use topic::Topics;

/// A prompt and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What the user writes.
    pub prompt: String,
    /// Pictures that come with the prompt.
    #[serde(default)]
    pub inputs: usize,
    /// The document, or its beginning.
    pub answer: String,
    /// The answer goes on beyond what is given: its end is not learnt.
    #[serde(default)]
    pub partial: bool,
}

/// The curriculum. Topic and plan are decided in a document's first lines, so
/// those lines alone are what is learnt first, and most often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Beginnings only.
    Beginnings,
    /// Whole documents, with `BEGINNINGS_PERCENT` beginnings among them.
    Full,
}

const BEGINNINGS_PERCENT: usize = 50;
const INVENTED_PERCENT: usize = 60;

/// The generator for training examples.
#[derive(Debug)]
pub struct Corpus {
    seed: u64,
    topics: Topics,
}

impl Corpus {
    /// A corpus of its own for every seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            topics: Topics::training(),
        }
    }

    /// Example number `index`.
    pub fn example(&self, index: u64, stage: Stage) -> Example {
        let mut rng = Rng::new(self.seed, index);
        let partial = stage == Stage::Beginnings || rng.chance(BEGINNINGS_PERCENT);
        let topic = self.topics.draw(&mut rng, INVENTED_PERCENT);
        let request = Request::draw(&mut rng, topic);
        render(&mut rng, &request, partial)
    }
}

/// A held-out prompt and what its document has to have.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// Prompt and a reference answer.
    pub example: Example,
    /// The request behind it.
    pub request: Request,
}

/// The fixed evaluation set: `count` prompts of all kinds whose topics are made
/// of words that training never uses.
pub fn heldout(count: usize) -> Vec<HeldOut> {
    let topics = Topics::heldout();
    (0..count as u64)
        .map(|index| {
            let mut rng = Rng::new(0x1E1D, index);
            let topic = topics.draw(&mut rng, 15);
            let request = Request::draw(&mut rng, topic);
            let example = render(&mut rng, &request, false);
            HeldOut { example, request }
        })
        .collect()
}

fn render(rng: &mut Rng, request: &Request, partial: bool) -> Example {
    Example {
        prompt: request.prompt(rng),
        inputs: request.inputs,
        answer: if partial {
            document::beginning(rng, request)
        } else {
            document::write(rng, request)
        },
        partial,
    }
}
