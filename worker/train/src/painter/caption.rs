//! A scene in words: short phrases, fuller ones, and prose such as a language
//! model writes into a prompt.

use super::scene::{Medium, Object, Scene, Setting, Time, Tone};
use super::words;
use crate::corpus::request::article;
use crate::corpus::topic::capitalised;
use crate::corpus::{Rng, Topics};

/// How much a caption says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Each point is left out now and then, and words that mean nothing to the
    /// painter stand among the others.
    Varied,
    /// Thing, colour, place, time, weather and medium, wherever they matter.
    Full,
}

/// One caption of many.
pub fn write(rng: &mut Rng, scene: &Scene, topics: &Topics, detail: Detail) -> String {
    if detail == Detail::Full {
        return phrase(rng, scene, topics, detail);
    }
    match rng.below(100) {
        // The demo policy's own prompts, most of whose topics mean nothing here.
        0..6 if scene.medium == Medium::Painting => {
            let style = rng.pick(words::STYLES);
            format!("a painting of {}, {style}", unknown(rng, topics))
        }
        0..70 => phrase(rng, scene, topics, detail),
        _ => prose(rng, scene, topics),
    }
}

/// "a red boat on a lake at dusk in the rain, soft light"
fn phrase(rng: &mut Rng, scene: &Scene, topics: &Topics, detail: Detail) -> String {
    let keep = |rng: &mut Rng, percent| detail == Detail::Full || rng.chance(percent);
    let mut text = rng.pick(words::medium(scene.medium)).to_owned();
    text += &subject(rng, scene, topics, detail);
    let mut add = |part: &str| {
        if !part.is_empty() {
            text.push(' ');
            text.push_str(part);
        }
    };
    if says_time(scene) && keep(rng, 88) {
        add(rng.pick(words::time(scene.time)));
    }
    if keep(rng, 90) {
        add(rng.pick(words::weather(scene.weather)));
    }
    if scene.autumn {
        add("in autumn");
    }
    match scene.tone {
        Tone::Plain => {}
        Tone::Darker => add(", dark"),
        Tone::Brighter => add(", very bright"),
    }
    let styles = match detail {
        Detail::Full => 0,
        Detail::Varied => rng.pick(&[0, 0, 0, 1, 1, 2]),
    };
    for _ in 0..styles {
        text += &format!(", {}", rng.pick(words::STYLES));
    }
    let text = text.replace(" ,", ",");
    match rng.chance(30) {
        true => capitalised(&text),
        false => text,
    }
}

/// Two to four sentences.
fn prose(rng: &mut Rng, scene: &Scene, topics: &Topics) -> String {
    let subject = subject(rng, scene, topics, Detail::Varied);
    let medium = rng.pick(words::medium(scene.medium));
    let mut sentences = vec![match rng.below(3) {
        0 if medium.is_empty() => format!("The picture shows {subject}."),
        1 => format!("{}{subject}.", capitalised(medium)),
        _ => format!("{}{subject} is shown.", capitalised(medium)),
    }];
    sentences[0] = capitalised(&sentences[0]);
    if says_time(scene) {
        sentences.push(rng.pick(words::time_sentence(scene.time)).to_owned());
    }
    sentences.push(rng.pick(words::weather_sentence(scene.weather)).to_owned());
    if scene.autumn {
        sentences.push("Autumn leaves fall.".to_owned());
    }
    match scene.tone {
        Tone::Plain => {}
        Tone::Darker => sentences.push("The whole is dark.".to_owned()),
        Tone::Brighter => sentences.push("The whole is very bright.".to_owned()),
    }
    if rng.chance(50) {
        let (first, second) = (rng.pick(words::STYLES), rng.pick(words::STYLES));
        sentences.push(format!("{}, {second}.", capitalised(first)));
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences.join(" ")
}

/// Whether the time of day shows. At noon a table says nothing of it.
pub(crate) fn says_time(scene: &Scene) -> bool {
    match scene.setting {
        Setting::Pattern(_) | Setting::Table => scene.time != Time::Noon,
        _ => true,
    }
}

fn subject(rng: &mut Rng, scene: &Scene, topics: &Topics, detail: Detail) -> String {
    if let Setting::Pattern(pattern) = scene.setting {
        let name = rng.pick(words::pattern(pattern));
        let [first, second] = scene.colours.map(|colour| colour.name());
        return match (pattern, rng.below(3)) {
            (super::scene::Pattern::Gradient, _) => format!("a gradient of {first} and {second}"),
            (_, 0) => format!("an abstract pattern of {name} in {first} on {second}"),
            (_, 1) => format!("a pattern of {name}, {first} on {second}"),
            _ => format!("abstract {name} in {first} on {second}")
                .replace("abstract a ", "an abstract "),
        };
    }
    let Some(object) = scene.object else {
        return rng.pick(words::landscape(scene.setting)).to_owned();
    };
    let varied = detail == Detail::Varied;
    let mut text = thing(rng, object, varied);
    // "a lighthouse of Vorel": a word that nobody knows changes nothing.
    if varied && rng.chance(8) {
        text += &format!(" of {}", capitalised(&unknown(rng, topics)));
    }
    let place = rng.pick(words::place(scene.setting, object.thing));
    let said = !varied || rng.chance(90);
    if let Some(companion) = scene.companion {
        let other = thing(rng, companion, false);
        return match (scene.setting, said) {
            (Setting::Table, true) => format!("{text} and {other} {place}"),
            (Setting::Table, false) => format!("{text} next to {other}"),
            (_, true) => format!("{text} {place} and {other} in the sky"),
            (_, false) => format!("{text} and {other} in the sky"),
        };
    }
    if scene.setting == Setting::Table && varied && rng.chance(20) {
        return format!("a still life with {text}");
    }
    match said {
        true => format!("{text} {place}"),
        false => text,
    }
}

/// "a red boat", "an old blue house"
pub(super) fn thing(rng: &mut Rng, object: Object, adjectives: bool) -> String {
    let name = rng.pick(words::names(object.thing));
    let colour = object.colour.name();
    let text = match adjectives && rng.chance(20) {
        true => format!("{} {colour} {name}", rng.pick(words::ADJECTIVES)),
        false => format!("{colour} {name}"),
    };
    format!("{} {text}", article(&text))
}

/// A topic none of whose words means anything to the painter.
pub(super) fn unknown(rng: &mut Rng, topics: &Topics) -> String {
    loop {
        let topic = topics.draw(rng, 60);
        if !topic.split_whitespace().any(words::is_known) {
            return topic;
        }
    }
}
