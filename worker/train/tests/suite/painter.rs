//! The painter: pictures are what captions say, edits change what was asked, and
//! held-out combinations stay unseen.

use illumine_train::painter::draw::{main_place, paint};
use illumine_train::painter::scene::{Medium, Object, Scene, Setting, Thing, Time, Tone, Weather};
use illumine_train::painter::{Colour, Edit, Painter, SIDE, held_out, to_image};

#[test]
fn the_same_seed_paints_the_same_and_another_one_does_not() {
    let pixels = |seed, index| {
        let painter = Painter::training(seed);
        let example = painter.example(index);
        (example.caption, paint(&example.scene).pixels)
    };
    for index in 0..6 {
        assert_eq!(pixels(3, index), pixels(3, index));
        assert_ne!(pixels(3, index).1, pixels(4, index).1);
        assert_ne!(pixels(3, index).1, pixels(3, index + 1).1);
    }
    let edit = |index| Painter::training(3).edit(index);
    let (one, two) = (edit(9), edit(9));
    assert_eq!(
        (one.before, one.after, one.instruction),
        (two.before, two.after, two.instruction)
    );
}

fn scene(thing: Thing, colour: Colour, setting: Setting) -> Scene {
    Scene {
        seed: 77,
        setting,
        colours: [Colour::Red, Colour::Blue],
        time: Time::Noon,
        weather: Weather::Clear,
        autumn: false,
        object: Some(Object { thing, colour }),
        companion: None,
        tone: Tone::Plain,
        medium: Medium::Painting,
    }
}

fn mean(pixels: &[[f32; 3]], counts: impl Fn(usize) -> bool) -> [f32; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for (_, pixel) in pixels
        .iter()
        .enumerate()
        .filter(|(index, _)| counts(*index))
    {
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += value;
        }
        count += 1.0;
    }
    sum.map(|value| value / count)
}

#[test]
fn a_thing_has_the_colour_of_its_name() {
    for thing in [
        Thing::Ball,
        Thing::Balloon,
        Thing::House,
        Thing::Boat,
        Thing::Apple,
    ] {
        let setting = match thing {
            Thing::Ball | Thing::Apple => Setting::Table,
            Thing::Boat => Setting::Lake,
            _ => Setting::Mountains,
        };
        for colour in Colour::ALL {
            let scene = scene(thing, colour, setting);
            let painted = paint(&scene);
            let seen = mean(&painted.pixels, |index| painted.object[index]);
            // Of all names, its own is the nearest in hue.
            let hue = |[r, g, b]: [f32; 3]| {
                let mean = (r + g + b) / 3.0;
                let length = ((r - mean).powi(2) + (g - mean).powi(2) + (b - mean).powi(2)).sqrt();
                [r - mean, g - mean, b - mean].map(|value| value / length.max(0.08))
            };
            let distance = |other: Colour| {
                let rgb = other.rgb();
                let (a, b) = (hue(seen), hue([rgb.0, rgb.1, rgb.2]));
                (0..3)
                    .map(|channel| (a[channel] - b[channel]).powi(2))
                    .sum::<f32>()
            };
            let others = Colour::ALL.into_iter().filter(|&other| {
                // Neighbours in hue: light and shade move one towards the other.
                let near = [
                    [Colour::Red, Colour::Orange],
                    [Colour::Orange, Colour::Yellow],
                    [Colour::Red, Colour::Pink],
                    [Colour::Purple, Colour::Pink],
                    [Colour::Purple, Colour::Blue],
                ];
                let is_near = |pair: &[Colour; 2]| pair.contains(&other) && pair.contains(&colour);
                other != colour && other != Colour::White && !near.iter().any(is_near)
            });
            if colour == Colour::White {
                let light = mean(&painted.pixels, |index| painted.object[index]);
                assert!(
                    light.iter().all(|&value| value > 0.4),
                    "{thing:?} {light:?}"
                );
                continue;
            }
            for other in others {
                assert!(
                    distance(colour) < distance(other),
                    "{thing:?} in {colour:?} looks {other:?}: {seen:?}"
                );
            }
        }
    }
}

#[test]
fn captions_name_thing_colour_and_time() {
    let painter = Painter::held_out(1);
    let mut named = 0;
    for index in 0..300 {
        let example = painter.example(index);
        let caption = example.caption.to_lowercase();
        let Some(object) = example.scene.object else {
            continue;
        };
        assert!(caption.contains(object.colour.name()), "{caption}");
        let names = illumine_train::painter::words::names(object.thing);
        assert!(names.iter().any(|name| caption.contains(name)), "{caption}");
        if example.scene.setting != Setting::Table {
            let times = illumine_train::painter::words::time(example.scene.time);
            assert!(times.iter().any(|time| caption.contains(time)), "{caption}");
        }
        named += 1;
    }
    assert!(named > 150);
}

#[test]
fn night_is_darker_than_noon_and_snow_whitens_the_ground() {
    let light = |scene: &Scene, rows: std::ops::Range<usize>| {
        let pixels = paint(scene).pixels;
        let [r, g, b] = mean(&pixels, |index| rows.contains(&(index / SIDE)));
        (r + g + b) / 3.0
    };
    for setting in [Setting::Sea, Setting::Field, Setting::City, Setting::Table] {
        let noon = Scene {
            object: None,
            ..scene(Thing::Ball, Colour::Red, setting)
        };
        let night = Scene {
            time: Time::Night,
            ..noon.clone()
        };
        assert!(
            light(&night, 0..SIDE) < 0.6 * light(&noon, 0..SIDE),
            "{setting:?}"
        );
    }
    let field = Scene {
        object: None,
        ..scene(Thing::Ball, Colour::Red, Setting::Field)
    };
    let snowy = Edit::Weather(Weather::Snow).apply(&field);
    assert!(light(&snowy, 90..SIDE) > 1.3 * light(&field, 90..SIDE));
}

#[test]
fn edits_change_nothing_outside_their_mask() {
    let painter = Painter::training(5);
    let (mut local, mut whole) = (0, 0);
    for index in 0..400 {
        let example = painter.edit(index);
        let (before, after) = (paint(&example.before), paint(&example.after));
        let mask = example.edit.mask(&before, &after);
        let (one, two) = (to_image(&before.pixels), to_image(&after.pixels));
        let mut changed = 0;
        for (pixel, (a, b)) in one.pixels().zip(two.pixels()).enumerate() {
            if a != b {
                changed += 1;
                assert!(mask[pixel], "{:?}: pixel {pixel}", example.edit);
            }
        }
        assert!(
            changed > 20,
            "{:?} cannot be seen: {:?}",
            example.edit,
            example.before
        );
        match example.edit.is_local() {
            true => {
                local += 1;
                let share = mask.iter().filter(|&&set| set).count();
                assert!(share < SIDE * SIDE * 3 / 4, "{:?}", example.edit);
            }
            false => whole += 1,
        }
    }
    assert!(local > 80 && whole > 150, "{local} {whole}");
}

#[test]
fn training_never_sees_a_held_out_combination() {
    let (training, other) = (Painter::training(2), Painter::held_out(2));
    for index in 0..2000 {
        assert!(!held_out(&training.example(index).scene));
        let edit = training.edit(index);
        assert!(!held_out(&edit.before) && !held_out(&edit.after));
    }
    for index in 0..200 {
        assert!(held_out(&other.example(index).scene));
        assert!(held_out(&other.edit(index).after));
    }
}

#[test]
fn the_demo_policys_edits_are_among_the_instructions() {
    let painter = Painter::training(1);
    let instructions: Vec<String> = (0..6000)
        .map(|index| painter.edit(index).instruction)
        .collect();
    for effect in illumine_train::corpus::picture::EFFECTS {
        let asked = effect.instruction.replace("{}", "the picture");
        assert!(instructions.contains(&asked), "{asked}");
    }
}

#[test]
fn things_stand_inside_the_picture() {
    for seed in 0..200 {
        for thing in Thing::ALL {
            let scene = Scene {
                seed,
                ..scene(thing, Colour::Red, Setting::Field)
            };
            let place = main_place(&scene, thing);
            assert!(
                place.base - place.size > -2.0 && place.base < SIDE as f32,
                "{thing:?} {place:?}"
            );
        }
    }
}
