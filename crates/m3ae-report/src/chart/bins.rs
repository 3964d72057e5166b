//! Bars over bins of a number: histograms and reliability diagrams.

use super::frame::{Frame, WIDTH, draw_title};
use super::scale::Scale;
use crate::svg::{Anchor, Svg};

/// Height of the strip that shows how many values a bin has.
const STRIP: f64 = 36.0;

/// One bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How high its bar is; no bar where it is not finite.
    pub height: f64,
    /// How many values fell into it.
    pub count: usize,
}

/// Bars over bins, with a strip below that shows how many values each bin has.
#[derive(Clone, Debug, Default)]
pub struct BinChart {
    title: String,
    x_label: String,
    y_label: String,
    bins: Vec<Bin>,
    diagonal: bool,
}

impl BinChart {
    /// Bars over `bins`. The axes are named `x_label` and `y_label`.
    #[must_use]
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
        bins: Vec<Bin>,
    ) -> Self {
        Self { title: title.into(), x_label: x_label.into(), y_label: y_label.into(), bins, diagonal: false }
    }

    /// Makes it a reliability diagram: the vertical axis is the horizontal one, and a dashed diagonal shows where bars
    /// should end.
    #[must_use]
    pub fn diagonal(mut self) -> Self {
        self.diagonal = true;
        self
    }

    /// Draws it.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let frame = Frame::new(34.0, 264.0);
        let mut svg = Svg::new(WIDTH, frame.bottom + 54.0 + STRIP, &self.title);
        draw_title(&mut svg, &self.title, WIDTH);
        let low = self.bins.iter().map(|bin| bin.from).fold(f64::INFINITY, f64::min);
        let high = self.bins.iter().map(|bin| bin.to).fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
        let x = Scale::exactly(low, high, frame.horizontal());
        let y = match self.diagonal {
            true => Scale::exactly(low, high, frame.vertical()),
            false => Scale::around(self.bins.iter().map(|bin| bin.height).chain([0.0]), false, frame.vertical()),
        };
        // The strip of counts stands between the axis and its ticks.
        let shifted = Frame { bottom: frame.bottom + STRIP + 8.0, ..frame };
        shifted.draw(&mut svg, &x, &y, (&self.x_label, &self.y_label));
        svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), "axis");

        let most = self.bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
        for bin in &self.bins {
            let (left, right) = (x.place(bin.from) + 1.0, x.place(bin.to) - 1.0);
            let (top, zero) = (y.place(bin.height), y.place(0.0_f64.max(if self.diagonal { low } else { 0.0 })));
            if bin.count > 0 && bin.height.is_finite() {
                svg.rect((left, top.min(zero)), (right - left, (zero - top).abs().max(1.0)), "f0", 0.75);
            }
            let height = (bin.count as f64 / most * (STRIP - 12.0)).max(if bin.count > 0 { 1.0 } else { 0.0 });
            svg.rect((left, shifted.bottom - height), (right - left, height), "count", 0.55);
            if bin.count > 0 {
                let at = (f64::midpoint(left, right), shifted.bottom - height - 2.0);
                svg.text(at, Anchor::Middle, "small", &bin.count.to_string());
            }
        }
        if self.diagonal {
            svg.line((x.place(low), y.place(low)), (x.place(high), y.place(high)), "guide");
        }
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(bins: Vec<Bin>) -> BinChart {
        BinChart::new("reliability", "confidence", "accuracy", bins)
    }

    #[test]
    fn bars_end_at_their_height() {
        let bins = vec![
            Bin { from: 0.0, to: 0.5, height: 0.25, count: 4 },
            Bin { from: 0.5, to: 1.0, height: f64::NAN, count: 0 },
        ];
        let svg = chart(bins).diagonal().draw().document();
        // The area is 230 high and ends at 264: a quarter of it begins at 206.5.
        assert!(svg.contains("class=\"f0\" x=\"57.0\" y=\"206.5\""), "{svg}");
        assert_eq!(svg.matches("class=\"f0\"").count(), 1);
        assert!(svg.contains("class=\"guide\"") && !svg.contains("NaN"));
    }

    #[test]
    fn no_bins_are_no_reason_to_fail() {
        assert!(chart(Vec::new()).draw().document().contains("reliability"));
    }
}
