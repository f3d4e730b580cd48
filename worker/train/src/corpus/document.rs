//! The answer: a short illustrated report in Markdown, with its tags.

use serde_json::json;

use super::chart;
use super::picture::{Chart, Picture};
use super::request::{Genre, Request, article};
use super::rng::Rng;

/// Title, subject, plan, and the first heading.
pub fn beginning(rng: &mut Rng, request: &Request) -> String {
    let title = title(request.genre);
    let heading = match request.pictures.is_empty() {
        true => BACKGROUND_HEADING.to_owned(),
        false => caption(request, 0),
    };
    format!(
        "# {title} {}\n\n{}\n\n## {heading}",
        request.topic,
        opening(rng, request)
    )
}

/// Writes the document that `request` asks for.
pub fn write(rng: &mut Rng, request: &Request) -> String {
    let topic = &request.topic;
    let mut parts = vec![
        format!("# {} {topic}", title(request.genre)),
        opening(rng, request),
    ];
    if request.pictures.is_empty() {
        parts.push(format!("## {BACKGROUND_HEADING}"));
        parts.push(filled(rng, BACKGROUND, topic));
    }
    for (index, &picture) in request.pictures.iter().enumerate() {
        parts.push(format!("## {}", caption(request, index)));
        parts.push(introduction(rng, picture, topic));
        parts.push(tag(rng, request, picture));
        parts.push(remark(rng, picture).to_owned());
    }
    parts.push("## In short".to_owned());
    parts.push(filled(rng, CLOSING, topic));
    parts.join("\n\n")
}

pub(super) fn title(genre: Genre) -> &'static str {
    match genre {
        Genre::Report => "A report on",
        Genre::Market => "Market research on",
        Genre::Article => "An article about",
        Genre::Guide => "A guide to",
        Genre::Overview => "All about",
    }
}

fn filled(rng: &mut Rng, sentences: &[&str], topic: &str) -> String {
    rng.pick(sentences).replace("{}", topic)
}

/// What the document is about, and the plan of its pictures.
pub(super) fn opening(rng: &mut Rng, request: &Request) -> String {
    let sentences = match request.genre {
        Genre::Market => MARKET_OPENING,
        _ => OPENING,
    };
    let subject = filled(rng, sentences, &request.topic);
    let number = match request.pictures.len() {
        0 => "no pictures",
        1 => "one picture",
        2 => "two pictures",
        3 => "three pictures",
        _ => "four pictures",
    };
    let plan: String = (0..request.pictures.len())
        .map(|index| format!(" {}.", caption(request, index)))
        .collect();
    format!("{subject} It has {number}.{plan}")
}

/// "Figure 2: a bar chart": the plan says it, and the section's heading says it
/// again, so that following the plan is copying.
pub(super) fn caption(request: &Request, index: usize) -> String {
    let picture = request.pictures[index];
    let what = match picture {
        Picture::Edit { parent, effect } => match parent.checked_sub(request.inputs) {
            None => format!("your picture, now {}", effect.result),
            Some(own) => format!("figure {}, now {}", own + 1, effect.result),
        },
        _ => format!("{} {}", article(picture.noun()), picture.noun()),
    };
    format!("Figure {}: {what}", index + 1)
}

const OPENING: &[&str] = &[
    "This page is about {}, in plain words.",
    "Here is a short look at {} for new readers.",
    "People often ask about {}, and this text tells what matters most.",
    "This is a first view of {} and why it matters.",
];

const MARKET_OPENING: &[&str] = &[
    "This study looks at the market for {} today.",
    "Buyers ask for {} more often than before.",
    "This study asks who pays for {}, and why.",
];

const BACKGROUND_HEADING: &str = "Background";

const BACKGROUND: &[&str] = &[
    "The first notes are old, and each region has its own view of {}. Today experts share what they know openly.",
    "Interest began in small groups. Later schools and museums wrote about {}, and now it is easy to read more.",
    "Most of what is known comes from patient work. Those who study {} compare many cases before they write.",
    "There are two sides to this. Some value the daily use of {}, while others enjoy the story behind it.",
];

const CLOSING: &[&str] = &[
    "It takes time to know {} well. A good next step is to ask people at work.",
    "There is always more to say about {}. A close look brings new questions.",
    "The main point about {} is simple: small details matter.",
    "Interest in {} will stay. The next years will show what is still to come.",
];

fn introduction(rng: &mut Rng, picture: Picture, topic: &str) -> String {
    let sentences: &[&str] = match picture {
        Picture::Photo => &[
            "The photo shows {} in the real world.",
            "The photo shows {} as seen in daily life.",
        ],
        Picture::Painting => &[
            "The painting shows {} in soft colours.",
            "The painting shows {} as in a dream.",
        ],
        Picture::Chart(_) => &[
            "The chart has example numbers for {}.",
            "The chart shows what people say about {}.",
        ],
        Picture::Edit { .. } => &[
            "The picture shows {} in another mood.",
            "The picture shows {} in a new way.",
        ],
    };
    filled(rng, sentences, topic)
}

fn remark(rng: &mut Rng, picture: Picture) -> &'static str {
    rng.pick(match picture {
        Picture::Photo => &[
            "A photo says more than many words.",
            "Details like these help us to understand.",
            "Such a view is worth a second look.",
        ],
        Picture::Painting => &[
            "An artist sees things that a camera would miss.",
            "The scene is invented, but the mood is true.",
            "Painters have always liked such shapes.",
        ],
        Picture::Chart(Chart::Bar | Chart::Pie) => &[
            "The groups differ, so there is no single answer.",
            "The largest share stands out and shapes the plans.",
            "These are example numbers, made to be compared.",
        ],
        Picture::Chart(Chart::Line | Chart::Scatter) => &[
            "The values rise step by step, a good sign.",
            "The trend is clear, though the numbers are only examples.",
            "What costs more today may cost less tomorrow.",
        ],
        Picture::Edit { .. } => &[
            "The change of mood gives it another face.",
            "The same view now feels quite different.",
        ],
    })
}

/// One tag, as JSON on one line.
pub(super) fn tag(rng: &mut Rng, request: &Request, picture: Picture) -> String {
    let topic = &request.topic;
    let source = picture.source();
    let (description, params) = match picture {
        Picture::Photo => {
            let view = rng.pick(&["", "", " from close", " from afar", " outdoors"]);
            (
                format!("a photo of {topic}"),
                json!({ "query": format!("photo of {topic}{view}") }),
            )
        }
        Picture::Painting => {
            let style = rng.pick(&["soft light", "bright colours", "fine lines", "warm light"]);
            (
                format!("a painting of {topic}"),
                json!({ "prompt": format!("a painting of {topic}, {style}") }),
            )
        }
        Picture::Chart(chart) => {
            let market = request.genre == Genre::Market;
            (
                format!("a {} about {topic}", chart.noun()),
                json!({ "code": chart::program(rng, chart, topic, market) }),
            )
        }
        Picture::Edit { parent, effect } => (
            format!("the picture, now {}", effect.result),
            json!({
                "img_index": parent,
                "prompt": effect.instruction.replace("{}", "the picture"),
            }),
        ),
    };
    // Written by hand for the order of its keys.
    format!(
        "<imgen>{{\"source\": \"{source}\", \"description\": {}, \"params\": {}}}</imgen>",
        json!(description),
        spaced(&params)
    )
}

/// One flat object in the spacing that people use: `{"a": 1, "b": 2}`.
fn spaced(params: &serde_json::Value) -> String {
    let fields: Vec<String> = params
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("\"{key}\": {value}"))
        .collect();
    format!("{{{}}}", fields.join(", "))
}
