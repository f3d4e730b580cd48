//! Short matplotlib programs with plausible numbers.

use super::picture::Chart;
use super::rng::Rng;

const GROUPS: &[&[&str]] = &[
    &["North", "South", "East", "West"],
    &["Spring", "Summer", "Autumn", "Winter"],
    &["Asia", "Europe", "Africa", "America"],
    &["Children", "Students", "Adults", "Seniors"],
    &["Home", "School", "Work", "Travel"],
];

const MARKET_GROUPS: &[&[&str]] = &[
    &["Brand A", "Brand B", "Brand C", "Brand D"],
    &["Online", "Shops", "Export", "Rental"],
];

const MEASURES: &[&str] = &["Interest in", "Spending on", "Reports about", "Work on"];
const MARKET_MEASURES: &[&str] = &["Sales of", "Demand for", "Spending on"];

/// A program that draws `chart` about `topic`; `plt` is imported, and the last
/// figure is the picture.
pub fn program(rng: &mut Rng, chart: Chart, topic: &str, market: bool) -> String {
    let (groups, measures) = if market {
        (MARKET_GROUPS, MARKET_MEASURES)
    } else {
        (GROUPS, MEASURES)
    };
    let measure = rng.pick(measures);
    let (data, draw, axes) = match chart {
        Chart::Bar => (
            format!("names = {}\nvalues = {}", names(rng, groups), values(rng)),
            "plt.bar(names, values)",
            "\nplt.ylabel('percent')",
        ),
        Chart::Line => (
            format!("years = [2019, 2020, 2021, 2022]\nvalues = {}", growth(rng)),
            "plt.plot(years, values, marker='o')",
            "\nplt.xlabel('year')",
        ),
        Chart::Pie => (
            format!("names = {}\nvalues = {}", names(rng, groups), values(rng)),
            "plt.pie(values, labels=names)",
            "",
        ),
        Chart::Scatter => (
            format!("cost = {}\nvalues = {}", growth(rng), growth(rng)),
            "plt.scatter(cost, values)",
            "\nplt.xlabel('cost')",
        ),
    };
    format!("{data}\n{draw}\nplt.title('{measure} {topic}'){axes}")
}

fn names(rng: &mut Rng, groups: &[&[&str]]) -> String {
    let group = rng.pick(groups);
    let quoted: Vec<String> = group.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

fn values(rng: &mut Rng) -> String {
    let numbers: Vec<String> = (0..4).map(|_| rng.between(11, 49).to_string()).collect();
    format!("[{}]", numbers.join(", "))
}

fn growth(rng: &mut Rng) -> String {
    let mut value = rng.between(11, 29);
    let numbers: Vec<String> = (0..4)
        .map(|_| {
            let now = value;
            value += rng.between(2, 19);
            now.to_string()
        })
        .collect();
    format!("[{}]", numbers.join(", "))
}
