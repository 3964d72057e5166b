//! What charts with two axes share: title, ticks, grid and labels.

use super::scale::Scale;
use crate::svg::{Anchor, Svg, fit_text};

/// Width of a chart with two axes, in pixels at natural size: two of them stand side by side on a common screen, and
/// one on a telephone's keeps its letters readable.
pub(super) const WIDTH: f64 = 480.0;
const RIGHT: f64 = 466.0;
const TITLE_SIZE: f64 = 13.5;

/// The area between the axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Frame {
    /// `top` leaves room for title and legend, `bottom` is where the horizontal axis is.
    pub fn new(top: f64, bottom: f64) -> Self {
        Self { left: 56.0, right: RIGHT, top, bottom }
    }

    pub fn horizontal(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// Upwards.
    pub fn vertical(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }

    /// Grid, ticks and the axes' names.
    pub fn draw(&self, svg: &mut Svg, x: &Scale, y: &Scale, names: (&str, &str)) {
        for (value, label) in y.ticks(5) {
            let at = y.place(value);
            svg.line((self.left, at), (self.right, at), "grid");
            svg.text((self.left - 7.0, at + 4.0), Anchor::End, "tick", &label);
        }
        for (value, label) in x.ticks(6) {
            let at = x.place(value);
            svg.line((at, self.bottom), (at, self.bottom + 4.0), "axis");
            svg.text((at, self.bottom + 17.0), Anchor::Middle, "tick", &label);
        }
        svg.line((self.left, self.bottom), (self.right, self.bottom), "axis");
        let (x_name, y_name) = names;
        svg.text((f64::midpoint(self.left, self.right), self.bottom + 34.0), Anchor::Middle, "name", x_name);
        svg.vertical_text((12.0, f64::midpoint(self.top, self.bottom)), "name", y_name);
    }
}

/// The chart's title, at its top left.
pub(super) fn draw_title(svg: &mut Svg, title: &str, width: f64) {
    svg.text((8.0, 18.0), Anchor::Start, "title", &fit_text(title, TITLE_SIZE, width - 16.0));
}
