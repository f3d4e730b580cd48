//! Changes to a scene, in words and in paint.

use super::caption;
use super::colour::Colour;
use super::draw::{Painted, widened};
use super::sample;
use super::scene::{Medium, Object, Scene, Setting, Thing, Time, Tone, Weather};
use super::words;
use crate::corpus::Rng;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    /// Another time of day.
    Time(Time),
    /// Other weather.
    Weather(Weather),
    /// Clear weather by day.
    Sunny,
    /// Brown leaves.
    Autumn,
    /// Darker or brighter.
    Tone(Tone),
    /// Made with something else.
    Medium(Medium),
    /// The main thing in another colour.
    Recolour(Colour),
    /// A thing more: the main one where there is none, else a companion.
    Add(Object),
    /// Without the main thing, or without the companion.
    Remove(Object),
}

impl Edit {
    /// Whether all but a thing and its shadow stays as it is.
    pub fn is_local(self) -> bool {
        matches!(self, Self::Recolour(_) | Self::Add(_) | Self::Remove(_))
    }

    /// The scene after the change.
    pub fn apply(self, scene: &Scene) -> Scene {
        let mut scene = scene.clone();
        match self {
            Self::Time(time) => scene.time = time,
            Self::Weather(weather) => {
                scene.weather = weather;
                scene.autumn &= weather != Weather::Snow;
            }
            Self::Sunny => {
                scene.weather = Weather::Clear;
                scene.time = Time::Noon;
            }
            Self::Autumn => {
                scene.autumn = true;
                if scene.weather == Weather::Snow {
                    scene.weather = Weather::Clear;
                }
            }
            Self::Tone(tone) => scene.tone = tone,
            Self::Medium(medium) => scene.medium = medium,
            Self::Recolour(colour) => {
                if let Some(object) = &mut scene.object {
                    object.colour = colour;
                }
            }
            Self::Add(object) => match scene.object {
                None => scene.object = Some(object),
                Some(_) => scene.companion = Some(object),
            },
            Self::Remove(object) if scene.companion == Some(object) => scene.companion = None,
            Self::Remove(_) => scene.object = None,
        }
        scene
    }

    /// Where the pictures before and after may differ.
    pub fn mask(self, before: &Painted, after: &Painted) -> Vec<bool> {
        if !self.is_local() {
            return vec![true; before.pixels.len()];
        }
        let either = |a: &[bool], b: &[bool]| -> Vec<bool> {
            a.iter().zip(b).map(|(&a, &b)| a || b).collect()
        };
        let changed = |a: &[bool], b: &[bool]| a.iter().any(|&x| x) != b.iter().any(|&x| x);
        let of_companion =
            !matches!(self, Self::Recolour(_)) && changed(&before.companion, &after.companion);
        widened(&match of_companion {
            true => either(&before.companion, &after.companion),
            false => either(&before.object, &after.object),
        })
    }
}

/// A change that fits the scene and is to be seen.
pub fn sample(rng: &mut Rng, scene: &Scene) -> Edit {
    loop {
        let edit = any(rng, scene);
        let shows = match edit {
            Some(Edit::Recolour(_) | Edit::Add(_)) => scene.medium.has_colour(),
            // Colours do not come back.
            Some(Edit::Medium(_)) => scene.medium == Medium::Painting,
            _ => true,
        };
        if let Some(edit) = edit
            && shows
            && edit.apply(scene) != *scene
        {
            return edit;
        }
    }
}

fn any(rng: &mut Rng, scene: &Scene) -> Option<Edit> {
    Some(match rng.below(100) {
        0..11 => Edit::Time(Time::Night),
        11..17 => Edit::Time(Time::Dusk),
        17..20 => Edit::Time(Time::Dawn),
        20..30 => Edit::Weather(Weather::Snow),
        30..34 => Edit::Weather(Weather::Rain),
        34..37 => Edit::Weather(Weather::Fog),
        37..40 => Edit::Sunny,
        40..43 => Edit::Autumn,
        43..47 => Edit::Tone(rng.pick(&[Tone::Darker, Tone::Brighter])),
        47..54 => Edit::Medium(Medium::BlackAndWhite),
        54..58 => Edit::Medium(Medium::Sketch),
        58..62 => Edit::Medium(Medium::Watercolour),
        62..78 => scene
            .object
            .map(|_| Edit::Recolour(rng.pick(&Colour::ALL)))?,
        78..90 => match (scene.setting, scene.object, scene.companion) {
            (Setting::Pattern(_), ..) | (_, Some(_), Some(_)) => return None,
            (_, None, _) => Edit::Add(sample::object(rng, scene.setting)),
            (_, Some(main), None) if !main.thing.flies() => {
                Edit::Add(sample::companion(rng, scene.setting, Some(main)))
            }
            _ => return None,
        },
        _ => match (scene.object, scene.companion) {
            (_, Some(companion)) => Edit::Remove(companion),
            (Some(object), None) => Edit::Remove(object),
            (None, None) => return None,
        },
    })
}

/// What people call the picture.
const PICTURE: &[&str] = &[
    "the picture",
    "the picture",
    "it",
    "the painting",
    "the photo",
    "this picture",
    "my picture",
    "the image",
];

/// The change as an instruction.
pub fn instruction(rng: &mut Rng, edit: Edit, scene: &Scene) -> String {
    let text = match edit {
        Edit::Time(Time::Night) => rng.pick(&[
            "make {} night",
            "make it night",
            "show {} at night",
            "turn day into night",
            "change {} to a night scene",
        ]),
        Edit::Time(Time::Dusk) => rng.pick(&[
            "show {} at sunset",
            "make it dusk",
            "show {} at dusk",
            "change the time to evening",
        ]),
        Edit::Time(Time::Dawn) => {
            rng.pick(&["show {} at dawn", "make it morning", "show {} at sunrise"])
        }
        Edit::Time(Time::Noon) | Edit::Sunny => rng.pick(&[
            "make {} sunny",
            "make it a sunny day",
            "show {} on a clear sunny day",
        ]),
        Edit::Weather(Weather::Snow) => rng.pick(&[
            "make {} snowy",
            "add snow",
            "add snow to {}",
            "make it winter",
            "let it snow",
        ]),
        Edit::Weather(Weather::Rain) => rng.pick(&["make {} rainy", "add rain", "let it rain"]),
        Edit::Weather(Weather::Fog) => rng.pick(&["make {} foggy", "add fog", "add mist to {}"]),
        Edit::Weather(Weather::Clear) => rng.pick(&["clear the weather", "make the sky clear"]),
        Edit::Autumn => rng.pick(&["show {} in autumn", "make it autumn"]),
        Edit::Tone(Tone::Darker) => rng.pick(&["make {} darker", "darken {}"]),
        Edit::Tone(_) => rng.pick(&["make {} brighter", "brighten {}"]),
        Edit::Medium(Medium::BlackAndWhite) => rng.pick(&[
            "turn {} black and white",
            "make {} black and white",
            "remove all colours",
            "convert {} to greyscale",
        ]),
        Edit::Medium(Medium::Sketch) => {
            rng.pick(&["turn {} into a pencil sketch", "make {} a pencil drawing"])
        }
        Edit::Medium(_) => rng.pick(&[
            "turn {} into a watercolour",
            "make {} a watercolour painting",
        ]),
        Edit::Recolour(colour) => return recolour(rng, colour, scene),
        Edit::Add(object) => return add(rng, object, scene),
        Edit::Remove(object) => {
            let name = rng.pick(words::names(object.thing));
            let name = match rng.chance(40) {
                true => format!("{} {name}", object.colour.name()),
                false => name.to_owned(),
            };
            let verb = rng.pick(&["remove", "delete", "take away", "erase"]);
            return format!("{verb} the {name}");
        }
    };
    text.replace("{}", rng.pick(PICTURE))
}

fn recolour(rng: &mut Rng, colour: Colour, scene: &Scene) -> String {
    let thing = scene.object.map_or(Thing::Ball, |object| object.thing);
    let name = rng.pick(words::names(thing));
    let colour = colour.name();
    match rng.below(4) {
        0 => format!("make the {name} {colour}"),
        1 => format!("paint the {name} {colour}"),
        2 => format!("change the colour of the {name} to {colour}"),
        _ => format!("turn the {name} {colour}"),
    }
}

fn add(rng: &mut Rng, object: Object, scene: &Scene) -> String {
    let thing = caption::thing(rng, object, false);
    let place = match (scene.setting, object.thing.flies(), scene.object) {
        (Setting::Table, _, Some(_)) => rng.pick(&["", " on the right", " on the table"]),
        (_, true, _) => rng.pick(&["", " in the sky"]),
        _ => "",
    };
    let verb = rng.pick(&["add", "put in", "paint in"]);
    format!("{verb} {thing}{place}")
}
