//! The words for what is in a scene.

use super::scene::{Medium, Pattern, Setting, Thing, Time, Weather};

/// What a thing may be called; the first is its own name.
pub fn names(thing: Thing) -> &'static [&'static str] {
    match thing {
        Thing::Ball => &["ball", "ball", "sphere"],
        Thing::Cube => &["cube", "cube", "box"],
        Thing::Vase => &["vase"],
        Thing::Cup => &["cup", "cup", "mug"],
        Thing::Apple => &["apple"],
        Thing::Flower => &["flower", "flower", "blossom"],
        Thing::House => &["house", "house", "cottage", "cabin"],
        Thing::Tree => &["tree"],
        Thing::Windmill => &["windmill", "windmill", "mill"],
        Thing::Castle => &["castle", "castle", "palace"],
        Thing::Tent => &["tent"],
        Thing::Car => &["car"],
        Thing::Boat => &["boat", "boat", "sailboat", "ship"],
        Thing::Lighthouse => &["lighthouse"],
        Thing::Bird => &["bird"],
        Thing::Balloon => &["balloon", "hot-air balloon"],
    }
}

/// The place as a subject of its own.
pub fn landscape(setting: Setting) -> &'static [&'static str] {
    match setting {
        Setting::Mountains => &[
            "mountains",
            "a mountain landscape",
            "the mountains",
            "snowy peaks",
        ],
        Setting::Sea => &["the sea", "the ocean", "a seascape", "a beach by the sea"],
        Setting::Lake => &["a lake", "a calm lake", "a lake landscape"],
        Setting::Forest => &["a forest", "the woods", "a pine forest"],
        Setting::Field => &["a field", "a meadow", "a field of flowers"],
        Setting::Desert => &["a desert", "the desert", "sand dunes"],
        Setting::City => &["a city skyline", "a city", "a skyline of tall buildings"],
        Setting::Table => &["a table by a window"],
        Setting::Pattern(_) => &["an abstract pattern"],
    }
}

/// The place of a thing.
pub fn place(setting: Setting, thing: Thing) -> &'static [&'static str] {
    if thing.flies() {
        return match setting {
            Setting::Mountains => &["over the mountains", "above the mountains"],
            Setting::Sea => &["over the sea", "above the ocean"],
            Setting::Lake => &["over a lake", "above a lake"],
            Setting::Forest => &["over a forest", "above the woods"],
            Setting::Field => &["over a field", "above a meadow"],
            Setting::Desert => &["over the desert", "above sand dunes"],
            Setting::City => &["over a city", "above the city skyline"],
            _ => &["by the window"],
        };
    }
    match setting {
        Setting::Mountains => &["in the mountains", "in front of the mountains"],
        Setting::Sea if thing == Thing::Boat => &["on the sea", "on the ocean", "at sea"],
        Setting::Sea => &["by the sea", "on the coast", "by the ocean"],
        Setting::Lake if thing == Thing::Boat => &["on a lake", "on a calm lake", "on the lake"],
        Setting::Lake => &["by a lake", "at the lake"],
        Setting::Forest => &["in a forest", "in the woods", "in the forest"],
        Setting::Field => &["in a field", "in a meadow"],
        Setting::Desert => &["in the desert", "among sand dunes", "in a desert"],
        Setting::City => &["in a city", "in front of a city skyline", "in the city"],
        Setting::Table => &[
            "on a table",
            "on a wooden table",
            "on a table by the window",
        ],
        Setting::Pattern(_) => &["on a pattern"],
    }
}

/// The time of day, after a subject.
pub fn time(time: Time) -> &'static [&'static str] {
    match time {
        Time::Dawn => &[
            "at dawn",
            "in the morning",
            "at sunrise",
            "in the early morning",
        ],
        Time::Noon => &[
            "at noon",
            "by day",
            "in daylight",
            "in the middle of the day",
        ],
        Time::Dusk => &["at dusk", "at sunset", "in the evening"],
        Time::Night => &["at night", "by night", "under the stars", "by moonlight"],
    }
}

/// The time of day as a sentence.
pub fn time_sentence(time: Time) -> &'static [&'static str] {
    match time {
        Time::Dawn => &[
            "The sky is pale pink at dawn.",
            "It is early morning and the light is soft.",
        ],
        Time::Noon => &[
            "It is noon and the sky is blue.",
            "Bright daylight fills the scene.",
        ],
        Time::Dusk => &[
            "The sun sets and the sky glows orange.",
            "Warm light of dusk lies over the scene.",
        ],
        Time::Night => &[
            "It is night and the sky is dark.",
            "Moon and stars shine in the night sky.",
        ],
    }
}

/// The weather, after a subject; nothing for a clear sky in most cases.
pub fn weather(weather: Weather) -> &'static [&'static str] {
    match weather {
        Weather::Clear => &["", "", "", "under a clear sky", "in fine weather"],
        Weather::Rain => &["in the rain", "on a rainy day", "in rainy weather"],
        Weather::Snow => &["in the snow", "in winter", "with falling snow"],
        Weather::Fog => &["in fog", "in the mist", "on a foggy day"],
    }
}

/// The weather as a sentence.
pub fn weather_sentence(weather: Weather) -> &'static [&'static str] {
    match weather {
        Weather::Clear => &["", "The weather is clear."],
        Weather::Rain => &["Rain falls from grey clouds.", "It is raining."],
        Weather::Snow => &["Snow covers the ground.", "Snow is falling."],
        Weather::Fog => &["Fog hangs over everything.", "Mist veils the distance."],
    }
}

/// What the picture is made with, before its subject.
pub fn medium(medium: Medium) -> &'static [&'static str] {
    match medium {
        Medium::Painting => &[
            "",
            "",
            "a painting of ",
            "a painting of ",
            "a picture of ",
            "an illustration of ",
            "a drawing of ",
            "a photo of ",
        ],
        Medium::BlackAndWhite => &[
            "a black and white picture of ",
            "a black and white photo of ",
            "a grey picture without colours of ",
        ],
        Medium::Sketch => &[
            "a pencil sketch of ",
            "a pencil drawing of ",
            "a sketch of ",
        ],
        Medium::Watercolour => &[
            "a watercolour of ",
            "a watercolour painting of ",
            "a watercolor of ",
        ],
    }
}

/// The pattern's name in the plural.
pub fn pattern(pattern: Pattern) -> &'static [&'static str] {
    match pattern {
        Pattern::Stripes => &["stripes"],
        Pattern::Waves => &["waves", "wavy lines"],
        Pattern::Circles => &["circles", "dots"],
        Pattern::Grid => &["a grid", "squares"],
        Pattern::Gradient => &["a gradient"],
    }
}

/// Words that say nothing of what is to be seen.
pub const STYLES: &[&str] = &[
    "soft light",
    "bright colours",
    "fine lines",
    "warm light",
    "highly detailed",
    "soft colours",
    "smooth shapes",
    "high quality",
    "wide view",
    "beautiful",
    "calm mood",
    "digital art",
];

/// Words before a thing that say nothing of what is to be seen.
pub const ADJECTIVES: &[&str] = &[
    "small",
    "old",
    "large",
    "beautiful",
    "lonely",
    "simple",
    "little",
    "pretty",
];

/// Words that an invented topic must not have, since they mean something here.
pub fn is_known(word: &str) -> bool {
    let word = word.to_lowercase();
    let in_texts = |texts: &[&str]| {
        texts
            .iter()
            .flat_map(|text| text.split_whitespace())
            .any(|known| known == word || word.strip_suffix('s') == Some(known))
    };
    Thing::ALL.iter().any(|&thing| in_texts(names(thing)))
        || Setting::ALL
            .iter()
            .any(|&setting| in_texts(landscape(setting)))
        || Time::ALL.iter().any(|&hour| in_texts(time(hour)))
        || Weather::ALL.iter().any(|&kind| in_texts(weather(kind)))
        || super::colour::Colour::ALL
            .iter()
            .any(|colour| colour.name() == word)
        || [
            "autumn", "rainy", "sunny", "dark", "bright", "stormy", "windy", "mountain", "golden",
            "crimson", "dry", "wet",
        ]
        .contains(&word.as_str())
}
