//! Lines over a common horizontal axis.

use super::COLOURS;
use super::frame::{Frame, WIDTH, draw_title};
use super::scale::Scale;
use super::series::{Series, smooth, thin};
use crate::svg::{Anchor, Svg, fit_text, text_width};

/// Most points that a line is drawn with: more than a chart has pixels across.
const MAX_POINTS: usize = 1_000;
/// Height of a row of the legend.
const LEGEND_ROW: f64 = 18.0;
/// Letters of the legend.
const LEGEND_SIZE: f64 = 12.0;

/// Lines over a common horizontal axis.
#[derive(Clone, Debug, Default)]
pub struct LineChart {
    title: String,
    x_label: String,
    y_label: String,
    log_y: bool,
    x_from_zero: bool,
    y_from_zero: bool,
    series: Vec<Series>,
}

impl LineChart {
    /// A chart without lines.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Names the horizontal axis.
    #[must_use]
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.x_label = label.into();
        self
    }

    /// Names the vertical axis.
    #[must_use]
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.y_label = label.into();
        self
    }

    /// Makes the vertical axis logarithmic; values that are not positive become gaps.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    /// Begins the horizontal axis at 0, so that charts of one run can be compared.
    #[must_use]
    pub fn x_from_zero(mut self) -> Self {
        self.x_from_zero = true;
        self
    }

    /// Begins the vertical axis at 0, so that heights can be compared; not for a logarithmic one.
    #[must_use]
    pub fn y_from_zero(mut self) -> Self {
        self.y_from_zero = true;
        self
    }

    /// Adds a line. Colours follow the order in which lines are added.
    #[must_use]
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Draws it. Lines of more than about 1000 points are thinned to that: their lows, highs and gaps stay.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let rows = self.legend();
        let top = 32.0 + LEGEND_ROW * rows.len() as f64;
        let frame = Frame::new(top, top + 200.0);
        let mut svg = Svg::new(WIDTH, frame.bottom + 44.0, &self.title);
        draw_title(&mut svg, &self.title, WIDTH);
        self.draw_legend(&mut svg, &rows);

        let points = || self.series.iter().flat_map(|series| &series.points);
        let zero = |wanted: bool| wanted.then_some(0.0);
        let x = Scale::around(points().map(|point| point.0).chain(zero(self.x_from_zero)), false, frame.horizontal());
        let y =
            Scale::around(points().map(|point| point.1).chain(zero(self.y_from_zero)), self.log_y, frame.vertical());
        frame.draw(&mut svg, &x, &y, (&self.x_label, &self.y_label));
        let place = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            thin(points, MAX_POINTS).into_iter().map(|(a, b)| (x.place(a), y.place(b))).collect()
        };
        for (number, series) in self.series.iter().enumerate() {
            let colour = number % COLOURS;
            let points = place(&series.points);
            let raw = points.iter().copied();
            if let Some(weight) = series.smoothing {
                svg.path(raw, &format!("raw s{colour}"));
                svg.path(place(&smooth(&series.points, weight)).into_iter(), &format!("line s{colour}"));
            } else {
                svg.path(raw, &format!("line s{colour}"));
            }
            if series.markers {
                for point in points.into_iter().filter(|(a, b)| a.is_finite() && b.is_finite()) {
                    svg.circle(point, 2.8, &format!("f{colour}"));
                }
            }
        }
        svg
    }

    /// The names of the lines, in as many rows as they need. One line alone needs no legend.
    fn legend(&self) -> Vec<Vec<(usize, String)>> {
        let mut rows: Vec<Vec<(usize, String)>> = Vec::new();
        let mut used = f64::INFINITY;
        for (number, series) in self.series.iter().enumerate().filter(|_| self.series.len() > 1) {
            let name = fit_text(&series.name, LEGEND_SIZE, WIDTH - 60.0);
            let width = entry_width(&name);
            if used + width > WIDTH - 20.0 {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += width;
            if let Some(row) = rows.last_mut() {
                row.push((number, name));
            }
        }
        rows
    }

    fn draw_legend(&self, svg: &mut Svg, rows: &[Vec<(usize, String)>]) {
        for (row, entries) in rows.iter().enumerate() {
            let (mut x, y) = (8.0, 34.0 + LEGEND_ROW * row as f64);
            for (number, name) in entries {
                svg.path([(x + 1.0, y), (x + 17.0, y)].into_iter(), &format!("line s{}", number % COLOURS));
                if self.series[*number].markers {
                    svg.circle((x + 9.0, y), 2.8, &format!("f{}", number % COLOURS));
                }
                svg.text((x + 23.0, y + 4.0), Anchor::Start, "name", name);
                x += entry_width(name);
            }
        }
    }
}

fn entry_width(name: &str) -> f64 {
    text_width(name, LEGEND_SIZE) + 42.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_its_line_and_its_name() {
        let chart = LineChart::new("loss <1>")
            .x_label("step")
            .series(Series::new("train & more", vec![(0.0, 1.0), (1.0, 0.5)]).smoothed(0.6))
            .series(Series::new("validation", vec![(0.0, 1.1), (1.0, 0.7)]).with_markers());
        let svg = chart.draw().document();
        for part in
            ["raw s0", "line s0", "line s1", "train &amp; more", "validation", "loss &lt;1&gt;", "<circle class=\"f1\""]
        {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }

    #[test]
    fn a_long_series_is_thinned_and_a_hole_breaks_the_line() {
        let points =
            (0..50_000).map(|i| (f64::from(i), if i == 20_000 { f64::NAN } else { f64::from(i % 7) })).collect();
        let svg = LineChart::new("x").series(Series::new("a", points)).draw().document();
        let path = svg.lines().find(|line| line.contains("line s0")).unwrap();
        assert!(path.matches('L').count() < 1_100, "{}", path.matches('L').count());
        assert_eq!(path.matches('M').count(), 2);
    }

    #[test]
    fn what_a_logarithm_lacks_is_left_out() {
        let chart = LineChart::new("x").log_y().series(Series::new("a", vec![(0.0, 1.0), (1.0, 0.0), (2.0, 10.0)]));
        let svg = chart.draw().document();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn an_axis_begins_at_zero_where_asked() {
        let chart = LineChart::new("x").series(Series::new("a", vec![(900.0, 0.1), (1000.0, 0.2)]));
        let has_zero = |chart: LineChart| {
            ["middle", "end"]
                .map(|anchor| chart.draw().document().contains(&format!("text-anchor=\"{anchor}\">0</text>")))
        };
        assert_eq!(has_zero(chart.clone()), [false, false]);
        assert_eq!(has_zero(chart.clone().x_from_zero()), [true, false]);
        assert_eq!(has_zero(chart.y_from_zero()), [false, true]);
    }

    #[test]
    fn many_names_take_more_rows() {
        let chart = (0..9).fold(LineChart::new("x"), |chart, i| {
            chart.series(Series::new(format!("a rather long name {i}"), vec![(0.0, f64::from(i))]))
        });
        let rows = chart.legend();
        assert!(rows.len() > 2 && rows.iter().map(Vec::len).sum::<usize>() == 9, "{rows:?}");
    }
}
