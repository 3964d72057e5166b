//! A matrix of counts, as coloured cells.

use super::frame::draw_title;
use crate::format::format_number;
use crate::svg::{Anchor, Svg, fit_text, text_width};

const LETTERS: f64 = 11.5;
/// A cell's least and greatest side.
const CELL: (f64, f64) = (26.0, 44.0);
/// About how wide the cells together are.
const CELLS: f64 = 420.0;
/// The widest that a row's or column's name is drawn.
const LONGEST_NAME: f64 = 130.0;

/// A matrix of counts, as cells coloured by their share of the row's sum: a confusion matrix reads as recall.
#[derive(Clone, Debug)]
pub struct HeatMap {
    title: String,
    names: (String, String),
    rows: Vec<String>,
    columns: Vec<String>,
    /// Row by row; a missing value is 0.
    values: Vec<Vec<f64>>,
}

impl HeatMap {
    /// A matrix with a name for each row and each column. `values` are row by row; what is missing is 0.
    #[must_use]
    pub fn new(title: impl Into<String>, rows: Vec<String>, columns: Vec<String>, values: Vec<Vec<f64>>) -> Self {
        Self { title: title.into(), names: ("truth".into(), "prediction".into()), rows, columns, values }
    }

    /// Says what rows and columns are; without it they are truth and prediction.
    #[must_use]
    pub fn names(mut self, rows: impl Into<String>, columns: impl Into<String>) -> Self {
        self.names = (rows.into(), columns.into());
        self
    }

    /// Draws it.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let cell = (CELLS / self.columns.len().max(1) as f64).clamp(CELL.0, CELL.1);
        let longest = |names: &[String]| {
            names.iter().map(|name| text_width(name, LETTERS)).fold(20.0, f64::max).min(LONGEST_NAME)
        };
        let (left, above) = (30.0 + longest(&self.rows), 54.0 + longest(&self.columns));
        let (width, height) = (cell * self.columns.len() as f64, cell * self.rows.len() as f64);
        let total = (left + width + 14.0).max(260.0);
        let mut svg = Svg::new(total, above + height + 14.0, &self.title);
        draw_title(&mut svg, &self.title, total);
        svg.text((left + width / 2.0, 38.0), Anchor::Middle, "name", &self.names.1);
        svg.vertical_text((14.0, above + height / 2.0), "name", &self.names.0);
        for (c, name) in self.columns.iter().enumerate() {
            // Upright names would run into each other: they read upwards, from the cells.
            let name = fit_text(name, LETTERS, LONGEST_NAME);
            let at = (left + cell * (c as f64 + 0.5) + 4.0, above - 6.0 - text_width(&name, LETTERS) / 2.0);
            svg.vertical_text(at, "tick", &name);
        }
        for (r, name) in self.rows.iter().enumerate() {
            let top = above + cell * r as f64;
            let name = fit_text(name, LETTERS, LONGEST_NAME);
            svg.text((left - 6.0, top + cell / 2.0 + 4.0), Anchor::End, "tick", &name);
            let row = self.values.get(r).map_or(&[][..], Vec::as_slice);
            let sum: f64 = row.iter().filter(|value| value.is_finite()).sum();
            for c in 0..self.columns.len() {
                let value = row.get(c).copied().filter(|value| value.is_finite()).unwrap_or(0.0);
                let share = if sum > 0.0 { (value / sum).clamp(0.0, 1.0) } else { 0.0 };
                let corner = (left + cell * c as f64, top);
                svg.rect((corner.0 + 0.5, corner.1 + 0.5), (cell - 1.0, cell - 1.0), "cell", 0.06 + 0.94 * share);
                if value != 0.0 {
                    let class = if share > 0.55 { "over small" } else { "small" };
                    svg.text(
                        (corner.0 + cell / 2.0, top + cell / 2.0 + 4.0),
                        Anchor::Middle,
                        class,
                        &format_number(value),
                    );
                }
            }
        }
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_coloured_by_their_share_of_the_row() {
        let names = || vec!["yes".to_owned(), "<no>".to_owned()];
        let svg = HeatMap::new("confusion", names(), names(), vec![vec![3.0, 1.0], vec![0.0]]).draw().document();
        let opacity = |value: &str| svg.contains(&format!("fill-opacity=\"{value}\""));
        // 0.06 + 0.94·¾, 0.06 + 0.94·¼, and nothing for the row without counts.
        assert!(opacity("0.76") || opacity("0.77"), "{svg}");
        assert!(opacity("0.29") || opacity("0.30"), "{svg}");
        assert_eq!(svg.matches("fill-opacity=\"0.06\"").count(), 2);
        assert!(svg.contains("&lt;no&gt;") && !svg.contains("<no>"));
    }

    #[test]
    fn an_empty_matrix_is_drawn() {
        assert!(HeatMap::new("none", vec![], vec![], vec![]).draw().document().contains("none"));
    }
}
