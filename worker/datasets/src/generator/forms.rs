//! Kinds of text, by what a topic belongs to, and the ways to ask for one.

use super::topic::Field;
use crate::rng::Rng;

/// What the pictures lend themselves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Numbers and real things.
    Facts,
    /// Invented things.
    Story,
}

const FACTS: &[&str] = &[
    "a short report on",
    "an article about",
    "a blog post about",
    "a newsletter item on",
    "an essay on",
    "a talk on",
    "an encyclopedia entry on",
    "a two-page overview of the facts about",
    "a fact sheet about",
    "an interview with an invented expert on",
    "a letter to a curious niece about",
    "a column about",
    "a background paper on",
    "an annotated reading list on",
    "a list of frequent questions, with answers, about",
];

const STORIES: &[&str] = &[
    "a bedtime story about",
    "a short story inspired by",
    "a picture-book page about",
    "a fable about",
    "a dreamy letter about",
    "a humorous sketch about",
    "a diary entry of someone enchanted by",
    "a modern fairy tale about",
    "a playful poem in prose about",
    "a read-aloud tale for small children about",
];

fn special(field: Field) -> &'static [&'static str] {
    match field {
        Field::Place => &[
            "a travel piece about",
            "a page for a travel magazine on",
            "a letter home about",
            "a traveller's guide to",
            "a radio feature about",
        ],
        Field::Nature => &[
            "a field guide page on",
            "a nature column about",
            "a talk for a walking club on",
            "an information board about",
        ],
        Field::Dish => &[
            "a recipe for",
            "a recipe page on",
            "a cookery lesson on",
            "a page of a family cookbook about",
        ],
        Field::Food => &[
            "a food column about",
            "a menu insert about",
            "a tasting guide to",
        ],
        Field::Home => &[
            "a step-by-step guide to",
            "a beginner's guide to",
            "a checklist for",
            "a workshop handout on",
        ],
        Field::Sport => &[
            "a club handout on",
            "a beginner's guide to",
            "a training notice about",
        ],
        Field::Health => &[
            "a patient leaflet on",
            "a waiting-room leaflet about",
            "an advice page on",
        ],
        Field::History => &[
            "a museum panel about",
            "a chapter for a popular history book on",
            "an exhibition text on",
            "a school lesson on",
        ],
        Field::Science => &[
            "a lesson for twelve-year-olds on",
            "a worksheet about",
            "a classroom handout on",
            "a science column about",
        ],
        Field::Technology => &[
            "a briefing for the town council on",
            "a magazine feature on",
            "an explainer about",
        ],
        Field::Product => &[
            "a product page for",
            "a brochure for",
            "a press release about",
            "a catalogue entry for",
        ],
        Field::Business => &[
            "a business briefing on",
            "a presentation for investors about",
            "a letter to the bank about",
            "a trade magazine article on",
        ],
        Field::Art => &[
            "a catalogue essay on",
            "a gallery guide to",
            "an evening lecture on",
            "a concert-hall or museum leaflet about",
        ],
    }
}

/// The text that is asked for, as a noun phrase: "a recipe for pumpkin soup".
pub(super) fn document(rng: &mut Rng, field: Field, name: &str, tone: Tone) -> String {
    let own = rng.chance(55);
    let kinds = match tone {
        Tone::Story if rng.chance(65) => STORIES,
        _ if own => special(field),
        _ => FACTS,
    };
    format!("{} {name}", rng.pick(kinds).unwrap_or_default())
}

/// A request around the text, without its end: and the end it takes.
pub(super) fn request(rng: &mut Rng, document: &str) -> (String, char) {
    const STATEMENTS: &[&str] = &[
        "Write {}",
        "Write {}",
        "Please write {}",
        "Put together {}",
        "Draft {}",
        "I need {}",
        "Prepare {}",
        "Create {}",
        "We would like {}",
        "Help me with {}",
        "I am looking for {}",
        "Compose {}",
        "By Friday I have to hand in {}",
        "Please prepare {}",
        "What we are after is {}",
        "Kindly produce {}",
        "I have promised a friend {}",
        "My task is {}",
        "Let us have {}",
    ];
    const QUESTIONS: &[&str] = &[
        "Could you write {}",
        "Can you prepare {}",
        "Would you put together {}",
        "May I ask you for {}",
        "How about {}",
    ];
    let (frames, end) = match rng.chance(20) {
        true => (QUESTIONS, '?'),
        false => (STATEMENTS, '.'),
    };
    let frame = rng.pick(frames).unwrap_or_default();
    (frame.replace("{}", document), end)
}

/// Who asks, or for whom: a sentence that comes first.
pub(super) fn context(rng: &mut Rng) -> &'static str {
    const CONTEXTS: &[&str] = &[
        "My reading group meets on Thursday.",
        "Our museum reopens in spring.",
        "I teach ten-year-olds.",
        "We are a small publisher.",
        "My grandfather keeps asking me about this.",
        "The local library is preparing an exhibition.",
        "I keep a modest blog.",
        "Our club magazine has an empty page.",
        "There is an evening at the community centre next week.",
        "A friend of mine is turning sixty.",
        "This is meant for a waiting room.",
        "The readers are new to the subject.",
        "I am new to this and a little lost.",
        "Our school has a project day.",
        "It is for people who have ten minutes on a train.",
        "My sister and I have been arguing about this.",
        "The parish newsletter goes to print on Monday.",
        "Half of the audience will be children.",
        "I was asked to stand in for a colleague.",
        "The last text we had on this was terribly dry.",
        "We want to surprise our subscribers.",
        "I have just come back from a course.",
    ];
    rng.pick(CONTEXTS).unwrap_or_default()
}

/// A wish about the text itself: a sentence that comes last.
pub(super) fn wish(rng: &mut Rng) -> &'static str {
    const WISHES: &[&str] = &[
        "Keep it under 400 words.",
        "About 250 words will be plenty.",
        "The tone should be warm and a little wry.",
        "Write for readers of twelve and upwards.",
        "Avoid technical terms, or explain them.",
        "End with a question for discussion.",
        "Use short paragraphs with headings.",
        "Begin in the middle of things.",
        "A calm, factual tone, please.",
        "Finish with a summary in a few lines.",
        "It should be easy to read aloud.",
        "No jokes, please.",
        "A touch of humour is welcome.",
        "Name what is still unknown.",
        "Do not go beyond two pages.",
        "Explain why it matters today.",
        "Address the reader directly.",
        "Use plain English throughout.",
        "Start with a surprising fact.",
        "Say where opinions differ.",
        "Let the last sentence linger.",
        "I would rather have it short than complete.",
        "Close with a practical tip.",
        "Headings help our readers, so use some.",
    ];
    rng.pick(WISHES).unwrap_or_default()
}
