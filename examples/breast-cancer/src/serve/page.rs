//! The page.

use std::fmt::Write as _;

use super::predictor::Predictor;
use crate::data::FEATURES;
use crate::model::Feature;
use crate::sample::PARTS;

const TEMPLATE: &str = include_str!("page.html");
/// Measurements of a kind: the columns come as ten means, ten errors, ten worst.
const KIND: usize = 10;

/// The page for this model, filled in with a tumour of the data set.
pub(super) fn of(predictor: &Predictor) -> String {
    let fields: Vec<_> = predictor.model.features.iter().zip(example()).map(field).collect();
    let [means, errors, worst] = [0, 1, 2].map(|kind| fields[kind * KIND..][..KIND].concat());
    TEMPLATE
        .replace("{{about}}", &escaped(&predictor.about().to_string()))
        .replace("{{means}}", &means)
        .replace("{{errors}}", &errors)
        .replace("{{worst}}", &worst)
}

/// The measurements of the first tumour of the data set, as its file has them.
fn example() -> [&'static str; FEATURES] {
    let (_, text) = PARTS[0];
    let row = str::from_utf8(text).ok().and_then(|text| text.lines().nth(1));
    let mut values = row.unwrap_or_default().split(',');
    [(); FEATURES].map(|()| values.next().unwrap_or_default())
}

/// A field with its label, what is usual, and room for what is wrong.
fn field((feature, value): (&Feature, &str)) -> String {
    let name = &feature.name;
    let low = short((feature.mean - feature.deviation).max(0.0));
    let high = short(feature.mean + feature.deviation);
    let mut html = String::new();
    let written = write!(
        html,
        "<p class=\"field\"><label for=\"{name}\">{}</label>\n\
         <input id=\"{name}\" name=\"{name}\" value=\"{value}\" inputmode=\"decimal\" autocomplete=\"off\" \
         aria-describedby=\"{name}-usual {name}-wrong\">\n\
         <span class=\"usual\" id=\"{name}-usual\">mostly {low} to {high}</span>\n\
         <span class=\"wrong\" id=\"{name}-wrong\"></span></p>\n",
        label(name)
    );
    written.expect("a string can be written to");
    html
}

/// `concave_points_mean` as a person says it; the kind is said by what the field stands in.
fn label(column: &str) -> String {
    let words = column.rsplit_once('_').map_or(column, |(words, _)| words).replace('_', " ");
    let (first, rest) = words.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

/// A number in three digits that count.
fn short(value: f64) -> String {
    let digits = if value > 0.0 { 2 - value.log10().floor() as i32 } else { 0 };
    format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
}

fn escaped(text: &str) -> String {
    let pairs = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")];
    pairs.iter().fold(text.to_owned(), |text, (plain, safe)| text.replace(*plain, safe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::COLUMNS;

    #[test]
    fn a_column_and_a_number_read_as_a_person_writes_them() {
        assert_eq!(label("concave_points_mean"), "Concave points");
        assert_eq!(label("radius_se"), "Radius");
        for (value, expected) in
            [(654.889, "655"), (14.127, "14.1"), (0.0963, "0.0963"), (0.0, "0"), (1000.4, "1000")]
        {
            assert_eq!(short(value), expected);
        }
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }

    #[test]
    fn the_columns_come_in_three_kinds_of_ten() {
        for (kind, end) in ["_mean", "_se", "_worst"].into_iter().enumerate() {
            assert!(COLUMNS[kind * KIND..][..KIND].iter().all(|name| name.ends_with(end)));
        }
        assert_eq!((example()[0], example()[29]), ("17.99", "0.1189"));
    }
}
