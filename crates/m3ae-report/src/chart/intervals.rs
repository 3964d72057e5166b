//! Values with their intervals, one to a row.

use super::COLOURS;
use super::frame::draw_title;
use super::scale::Scale;
use crate::svg::{Anchor, Svg, fit_text, text_width};

const WIDTH: f64 = 480.0;
const LETTERS: f64 = 12.0;
const ROW: f64 = 26.0;
const LONGEST_NAME: f64 = 150.0;

/// A value with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// What it is the value of.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The interval's ends; `None` for a number that came without one.
    pub ends: Option<(f64, f64)>,
    /// Rows of one group share a colour.
    pub group: usize,
}

/// Values with their intervals, one to a row, over a common axis.
#[derive(Clone, Debug)]
pub struct IntervalPlot {
    title: String,
    x_label: String,
    rows: Vec<Interval>,
    guide: Option<f64>,
}

impl IntervalPlot {
    /// A plot of `rows`, from top to bottom.
    #[must_use]
    pub fn new(title: impl Into<String>, x_label: impl Into<String>, rows: Vec<Interval>) -> Self {
        Self { title: title.into(), x_label: x_label.into(), rows, guide: None }
    }

    /// Draws a dashed line at `value`, such as 0 for differences.
    #[must_use]
    pub fn guide(mut self, value: f64) -> Self {
        self.guide = Some(value);
        self
    }

    /// Draws it.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let longest = self.rows.iter().map(|row| text_width(&row.name, LETTERS)).fold(30.0, f64::max).min(LONGEST_NAME);
        let (left, right, top) = (20.0 + longest, WIDTH - 58.0, 36.0);
        let bottom = top + ROW * self.rows.len() as f64;
        let mut svg = Svg::new(WIDTH, bottom + 44.0, &self.title);
        draw_title(&mut svg, &self.title, WIDTH);
        let shown = self.rows.iter().flat_map(|row| [Some(row.value), row.ends.map(|e| e.0), row.ends.map(|e| e.1)]);
        let x = Scale::around(shown.chain([self.guide]).flatten(), false, (left, right));
        for (value, label) in x.ticks(5) {
            svg.line((x.place(value), top), (x.place(value), bottom), "grid");
            svg.text((x.place(value), bottom + 16.0), Anchor::Middle, "tick", &label);
        }
        svg.line((left, bottom), (right, bottom), "axis");
        svg.text((f64::midpoint(left, right), bottom + 34.0), Anchor::Middle, "name", &self.x_label);
        if let Some(guide) = self.guide {
            svg.line((x.place(guide), top), (x.place(guide), bottom), "guide");
        }
        // Shares need more decimals than percentages.
        let decimals = if self.rows.iter().any(|row| row.value.abs() > 1.0) { 2 } else { 4 };
        for (number, row) in self.rows.iter().enumerate() {
            let (y, colour) = (top + ROW * (number as f64 + 0.5), row.group % COLOURS);
            svg.text((left - 8.0, y + 4.0), Anchor::End, "name", &fit_text(&row.name, LETTERS, LONGEST_NAME));
            let ends = row.ends.map(|(low, high)| (x.place(low), x.place(high)));
            if let Some((low, high)) = ends.filter(|(low, high)| low.is_finite() && high.is_finite()) {
                svg.line((low, y), (high, y), &format!("thick s{colour}"));
            }
            let at = x.place(row.value);
            if at.is_finite() {
                svg.circle((at, y), 4.2, &format!("f{colour}"));
                svg.text((WIDTH - 8.0, y + 4.0), Anchor::End, "tick", &format!("{:.decimals$}", row.value));
            }
        }
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_dot_and_where_known_an_interval() {
        let row = |name: &str, ends| Interval { name: name.into(), value: 0.5, ends, group: 1 };
        let rows = vec![row("ours", Some((0.4, 0.6))), row("published", None), row("broken", Some((f64::NAN, 1.0)))];
        let svg = IntervalPlot::new("accuracy", "share", rows).guide(0.0).draw().document();
        assert_eq!((svg.matches("thick s1").count(), svg.matches("<circle").count()), (1, 3));
        assert!(svg.contains("guide") && !svg.contains("NaN"));
    }
}
