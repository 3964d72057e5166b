//! A drawing: the few elements that charts need.
//!
//! Written here because a file of its own must be XML, in which every element is closed, while maud writes HTML, and
//! because charts follow the reader's light or dark scheme through CSS classes, where plotting crates draw in fixed
//! colours.

use std::fmt::Write;

use crate::format::escape;

/// Colours and line styles of charts, for light and dark schemes.
pub(crate) const CHART_CSS: &str = include_str!("chart.css");

/// Where a text stands relative to its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A finished drawing.
#[derive(Clone, Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Self {
        Self { width, height, label: label.to_owned(), body: String::new() }
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// A rectangle, filled to `opacity` of its class's colour.
    pub(crate) fn rect(&mut self, corner: (f64, f64), size: (f64, f64), class: &str, opacity: f64) {
        let ((x, y), (w, h)) = (corner, (size.0.max(0.0), size.1.max(0.0)));
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill-opacity=\"{opacity:.2}\"/>"
        ));
    }

    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        self.push(format_args!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"));
    }

    /// A line through points; it breaks at points that are not finite, and a point alone becomes a dot.
    pub(crate) fn path(&mut self, points: impl Iterator<Item = (f64, f64)>, class: &str) {
        let (mut d, mut pen_down) = (String::new(), false);
        for (x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                pen_down = false;
            } else if pen_down {
                let _ = write!(d, "L{x:.1} {y:.1}");
            } else {
                // A line of no length: a dot, with round caps.
                let _ = write!(d, "M{x:.1} {y:.1}h0");
                pen_down = true;
            }
        }
        if !d.is_empty() {
            self.push(format_args!("<path class=\"{class}\" d=\"{d}\"/>"));
        }
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// A text that reads upwards, centred on its point.
    pub(crate) fn vertical_text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        let text = escape(text);
        self.push(format_args!(
            "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\">{text}</text>"
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// The element, for a page that has the styles.
    pub(crate) fn element(&self) -> String {
        self.tag("", "")
    }

    /// A file of its own, with styles.
    #[must_use]
    pub fn document(&self) -> String {
        self.tag(" xmlns=\"http://www.w3.org/2000/svg\"", &format!("<style>{CHART_CSS}</style>\n"))
    }

    fn tag(&self, attributes: &str, head: &str) -> String {
        let Self { width, height, body, .. } = self;
        let label = escape(&self.label);
        format!(
            "<svg{attributes} class=\"chart\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
             role=\"img\" aria-label=\"{label}\">\n{head}{body}</svg>\n"
        )
    }
}

/// About how wide `text` is at `size` pixels, in a sans-serif font.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| if c.is_ascii() { 0.56 } else { 0.9 }).sum::<f64>() * size
}

/// `text`, cut to about `width` pixels at `size`.
pub(crate) fn fit_text(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if text_width(&kept, size) + 2.0 * size > width {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_numbers_that_are_not_finite() {
        let mut svg = Svg::new(10.0, 10.0, "x");
        svg.path([(0.0, 0.0), (1.0, 1.0), (2.0, f64::NAN), (3.0, 3.0)].into_iter(), "line");
        assert!(svg.element().contains("d=\"M0.0 0.0h0L1.0 1.0M3.0 3.0h0\""), "{}", svg.element());
    }

    #[test]
    fn texts_and_labels_are_escaped() {
        let mut svg = Svg::new(10.0, 10.0, "a<b\"");
        svg.text((0.0, 0.0), Anchor::Start, "label", "<script>");
        svg.vertical_text((0.0, 0.0), "label", "<script>");
        assert!(!svg.document().contains("<script>") && svg.document().contains("aria-label=\"a&lt;b&quot;\""));
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(fit_text("short", 12.0, 100.0), "short");
        let cut = fit_text(&"long ".repeat(40), 12.0, 100.0);
        assert!(cut.ends_with('…') && text_width(&cut, 12.0) <= 100.0, "{cut}");
    }
}
