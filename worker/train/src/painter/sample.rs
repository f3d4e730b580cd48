//! Scenes drawn at random, and which of them training never sees.

use super::colour::Colour;
use super::scene::{Medium, Object, Pattern, Scene, Setting, Time, Tone, Weather};
use crate::corpus::Rng;

/// Which scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Everything but the held-out combinations.
    Training,
    /// Held-out combinations only.
    HeldOut,
}

/// One in so many combinations is held out.
const HELD_OUT_EVERY: u64 = 10;

/// Whether training leaves this combination out: the main thing with its colour
/// and the time, or without a thing the place, time and weather, or a pattern
/// with its colours.
pub fn held_out(scene: &Scene) -> bool {
    let key = match (scene.object, scene.setting) {
        (Some(object), _) => [
            1,
            object.thing as u64,
            object.colour as u64,
            scene.time as u64,
        ],
        (None, Setting::Pattern(pattern)) => [
            2,
            pattern as u64,
            scene.colours[0] as u64,
            scene.colours[1] as u64,
        ],
        (None, _) => [
            3,
            Setting::ALL
                .iter()
                .position(|&s| s == scene.setting)
                .unwrap_or(0) as u64,
            scene.time as u64,
            scene.weather as u64,
        ],
    };
    let number = key.into_iter().fold(0, |sum, part| sum * 32 + part);
    Rng::new(0x0D0D, number)
        .bits()
        .is_multiple_of(HELD_OUT_EVERY)
}

/// A scene of `split`.
pub fn scene(rng: &mut Rng, split: Split) -> Scene {
    loop {
        let scene = any(rng);
        if held_out(&scene) == (split == Split::HeldOut) {
            return scene;
        }
    }
}

fn any(rng: &mut Rng) -> Scene {
    let setting = setting(rng);
    let outdoors = setting.is_outdoors();
    let object = match setting {
        Setting::Pattern(_) => None,
        Setting::Table => Some(object(rng, setting)),
        _ => rng.chance(65).then(|| object(rng, setting)),
    };
    let companion = (object.is_some_and(|object| !object.thing.flies()) && rng.chance(15))
        .then(|| companion(rng, setting, object));
    let time = match setting {
        Setting::Pattern(_) => Time::Noon,
        Setting::Table if rng.chance(40) => Time::Noon,
        _ => rng.pick(&Time::ALL),
    };
    let weather = match outdoors && rng.chance(50) {
        true => rng.pick(&[Weather::Rain, Weather::Snow, Weather::Fog]),
        false => Weather::Clear,
    };
    let first = rng.pick(&Colour::ALL);
    let second = loop {
        let second = rng.pick(&Colour::ALL);
        if second != first {
            break second;
        }
    };
    Scene {
        seed: rng.bits(),
        setting,
        colours: [first, second],
        time,
        weather,
        autumn: outdoors && weather != Weather::Snow && rng.chance(8),
        object,
        companion,
        tone: match rng.below(100) {
            0..3 => Tone::Darker,
            3..6 => Tone::Brighter,
            _ => Tone::Plain,
        },
        medium: match rng.below(100) {
            0..5 => Medium::BlackAndWhite,
            5..10 => Medium::Sketch,
            10..18 => Medium::Watercolour,
            _ => Medium::Painting,
        },
    }
}

fn setting(rng: &mut Rng) -> Setting {
    match rng.below(100) {
        0..12 => Setting::Mountains,
        12..24 => Setting::Sea,
        24..36 => Setting::Lake,
        36..46 => Setting::Forest,
        46..57 => Setting::Field,
        57..66 => Setting::Desert,
        66..77 => Setting::City,
        77..92 => Setting::Table,
        _ => Setting::Pattern(rng.pick(&[
            Pattern::Stripes,
            Pattern::Waves,
            Pattern::Circles,
            Pattern::Grid,
            Pattern::Gradient,
        ])),
    }
}

/// A thing that fits the place, of any colour.
pub(super) fn object(rng: &mut Rng, setting: Setting) -> Object {
    Object {
        thing: rng.pick(setting.things()),
        colour: rng.pick(&Colour::ALL),
    }
}

/// Something to put beside `main`.
pub(super) fn companion(rng: &mut Rng, setting: Setting, main: Option<Object>) -> Object {
    loop {
        let object = Object {
            thing: rng.pick(setting.companions()),
            colour: rng.pick(&Colour::ALL),
        };
        let twin = main.is_some_and(|main| main.thing == object.thing);
        let confused = main.is_some_and(|main| main.colour == object.colour);
        if !twin && !confused {
            return object;
        }
    }
}
