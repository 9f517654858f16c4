//! The confusion matrix as a picture.

use svg::Document;
use svg::node::element::{Group, Rectangle, Text, Title};

use crate::metrics::{Metrics, share};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 620.0;
/// The upper left corner of the matrix, and the side of a cell.
const LEFT: f64 = 170.0;
const TOP: f64 = 130.0;
const SIDE: f64 = 190.0;

const INK: &str = "#1f2933";
const FAINT: &str = "#616e7c";
const WORDS: [&str; 2] = ["benign", "malignant"];

pub(crate) fn draw(metrics: &Metrics) -> String {
    let name = "Breast cancer: confusion matrix";
    let paper = Rectangle::new().set("width", WIDTH).set("height", HEIGHT).set("fill", "#ffffff");
    let drawing = Document::new()
        .set("viewBox", (0, 0, WIDTH, HEIGHT))
        .set("width", WIDTH)
        .set("height", HEIGHT)
        .set("role", "img")
        .set("font-family", "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif")
        .set("text-anchor", "middle")
        .add(Title::new(name))
        .add(paper)
        .add(text(name, WIDTH / 2.0, 40.0, 22.0).set("font-weight", 600))
        .add(
            text(
                &format!("{} rows held back from training", metrics.rows),
                WIDTH / 2.0,
                64.0,
                14.0,
            )
            .set("fill", FAINT),
        )
        .add(axes());
    let drawing = cells(metrics).into_iter().fold(drawing, Document::add);
    format!("{}\n", drawing.add(footer(metrics)))
}

/// The words along both sides.
fn axes() -> Group {
    let middle = [LEFT + SIDE, TOP + SIDE];
    let turned = |text: Text, x: f64, y: f64| text.set("transform", format!("rotate(-90 {x} {y})"));
    let mut group = Group::new()
        .add(text("predicted", middle[0], TOP - 36.0, 15.0).set("font-weight", 600))
        .add(turned(
            text("actual", LEFT - 56.0, middle[1], 15.0).set("font-weight", 600),
            LEFT - 56.0,
            middle[1],
        ));
    for (at, word) in WORDS.into_iter().enumerate() {
        let along = (at as f64 + 0.5) * SIDE;
        let (x, y) = (LEFT - 18.0, TOP + along);
        group = group.add(text(word, LEFT + along, TOP - 12.0, 15.0));
        group = group.add(turned(text(word, x, y, 15.0), x, y));
    }
    group
}

/// The four cells; the darker, the larger the share of its row.
fn cells(metrics: &Metrics) -> Vec<Group> {
    let rows = metrics.matrix().into_iter().enumerate();
    let cells = rows.flat_map(|(down, row)| {
        let whole = row.iter().sum();
        let cells = row.into_iter().enumerate();
        cells.map(move |(across, count)| cell(down, across, count, share(count, whole)))
    });
    cells.collect()
}

fn cell(down: usize, across: usize, count: usize, share: f64) -> Group {
    let (x, y) = (LEFT + across as f64 * SIDE, TOP + down as f64 * SIDE);
    let (middle, centre) = (x + SIDE / 2.0, y + SIDE / 2.0);
    let ink = if share > 0.5 { "#ffffff" } else { INK };
    let square = Rectangle::new()
        .set("x", x)
        .set("y", y)
        .set("width", SIDE)
        .set("height", SIDE)
        .set("fill", shade(share))
        .set("stroke", "#ffffff")
        .set("stroke-width", 3);
    let percentage = format!("{:.1} % of {}", share * 100.0, WORDS[down]);
    Group::new()
        .add(square)
        .add(text(&count.to_string(), middle, centre + 8.0, 44.0).set("fill", ink))
        .add(text(&percentage, middle, centre + 40.0, 14.0).set("fill", ink))
}

/// From the lightest blue to the darkest.
fn shade(share: f64) -> String {
    let mix = |light: f64, dark: f64| (light + (dark - light) * share).round();
    format!("rgb({},{},{})", mix(230.0, 24.0), mix(239.0, 76.0), mix(248.0, 133.0))
}

/// The metrics below the matrix.
fn footer(metrics: &Metrics) -> Group {
    let named = metrics.named();
    let width = (WIDTH - 80.0) / named.len() as f64;
    named.iter().enumerate().fold(Group::new(), |group, (at, (name, value))| {
        let x = 40.0 + (at as f64 + 0.5) * width;
        let value = text(&format!("{value:.3}"), x, HEIGHT - 52.0, 22.0).set("font-weight", 600);
        group.add(value).add(text(name, x, HEIGHT - 30.0, 13.0).set("fill", FAINT))
    })
}

fn text(words: &str, x: f64, y: f64, size: f64) -> Text {
    Text::new(words).set("x", x).set("y", y).set("font-size", size).set("fill", INK)
}
