//! A plan in words.

use super::forms::{self, Tone};
use super::numbers::{ONLY_THAT, lead, one_of, pair, sequence, total};
use super::pictures::{hint, listing, need, noun};
use super::plan::{Plan, Wanted};
use super::topic::Topic;
use crate::rng::Rng;
use crate::row::ImageNum;

const NO_PICTURE: &[&str] = &[
    "No pictures, please: it will be read aloud.",
    "Text only: our mail system strips out images.",
    "It must do without any images.",
    "Words alone have to carry it, without a single picture.",
    "It is for the radio, so pictures would be lost.",
    "I will send it as a text message, so leave images out.",
    "Leave out illustrations of any kind.",
    "Plain text only; our printer cannot cope with images.",
    "A screen reader will read it out, so keep it to text.",
    "Not a single image this time.",
    "I do not want any pictures or charts in it.",
    "We have no room for illustrations, only for words.",
];

const AT_LEAST_ONE: &[&str] = &[
    "Illustrate it as freely as you like.",
    "Use as many pictures as it takes.",
    "I leave the number of pictures to you, as long as there are some.",
    "Pictures wherever they help, please.",
    "It should be richly illustrated.",
    "At least one picture is a must; more are welcome.",
    "Do not be sparing with images.",
    "There should be something to look at on the way.",
    "Any number of pictures is fine, but not none.",
    "Let images break up the text wherever it suits.",
    "How many images you use is up to you, but use some.",
    "Make it a feast for the eyes.",
];

/// The prompt of a plan.
pub(super) fn write(rng: &mut Rng, topic: &Topic, plan: &Plan) -> String {
    let document = forms::document(rng, topic.field, topic.name, tone(plan));
    let (request, end) = forms::request(rng, &document);
    let mut sentences: Vec<String> = Vec::new();
    if rng.chance(35) {
        sentences.push(forms::context(rng).to_owned());
    }
    match plan.image_num {
        ImageNum::Exactly(_) => exactly(rng, plan, &request, end, &mut sentences),
        ImageNum::NoPicture => {
            sentences.push(format!("{request}{end}"));
            if rng.chance(50) {
                let (shape, text) = topic.data[rng.below(topic.data.len())];
                sentences.push(hint(rng, Wanted::Data(shape, text)));
            }
            sentences.push(one_of(rng, NO_PICTURE));
        }
        ImageNum::Free => {
            sentences.push(format!("{request}{end}"));
            sentences.extend(plan.pictures.iter().map(|&wanted| hint(rng, wanted)));
        }
        ImageNum::AtLeastOne => {
            sentences.push(format!("{request}{end}"));
            let needs: Vec<String> = plan.pictures.iter().map(|&w| need(rng, w)).collect();
            let freely = one_of(rng, AT_LEAST_ONE);
            if rng.chance(50) {
                sentences.push(freely);
                sentences.extend(needs);
            } else {
                sentences.extend(needs);
                sentences.push(freely);
            }
        }
    }
    if rng.chance(50) || sentences.len() < 2 {
        sentences.push(forms::wish(rng).to_owned());
    }
    sentences.join(" ")
}

fn tone(plan: &Plan) -> Tone {
    let invented = |wanted: &Wanted| matches!(wanted, Wanted::Imagined(_));
    let sober = |wanted: &Wanted| matches!(wanted, Wanted::Data(..) | Wanted::Real(_));
    match plan.pictures.iter().any(invented) && !plan.pictures.iter().any(sober) {
        true => Tone::Story,
        false => Tone::Facts,
    }
}

/// A number of pictures: said, or to be counted in what is listed.
fn exactly(rng: &mut Rng, plan: &Plan, request: &str, end: char, sentences: &mut Vec<String>) {
    let pictures = &plan.pictures;
    if let [first, Wanted::Again(change)] = pictures[..]
        && rng.chance(50)
    {
        sentences.push(format!("{request}{end}"));
        sentences.push(pair(rng, first, change));
        return;
    }
    let nouns = |rng: &mut Rng| -> Vec<String> {
        pictures.iter().map(|&wanted| noun(rng, wanted)).collect()
    };
    match rng.below(4) {
        0 if pictures.len() < 4 => {
            let joint = rng.pick(&[" with", " featuring", ", including", ", accompanied by"]);
            let list = listing(&nouns(rng));
            let whole = format!("{request}{} {list}{end}", joint.unwrap_or_default());
            sentences.push(whole);
            if pictures.len() == 1 {
                sentences.push(one_of(rng, ONLY_THAT));
            }
        }
        1 if pictures.len() > 1 => {
            sentences.push(format!("{request}{end}"));
            let nouns = nouns(rng);
            sentences.push(sequence(rng, &nouns));
        }
        2 => {
            sentences.push(format!("{request}{end}"));
            sentences.extend(pictures.iter().map(|&wanted| need(rng, wanted)));
            sentences.push(total(rng, pictures.len()));
        }
        _ => {
            sentences.push(format!("{request}{end}"));
            let list = listing(&nouns(rng));
            sentences.push(format!("{} {list}.", lead(rng, pictures.len())));
        }
    }
}
