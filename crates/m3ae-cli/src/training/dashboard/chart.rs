//! A line chart in a frame.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};

const LEGEND: &str = " line: training, dots: validation ";

/// Draws `line` as a line and `dots` as dots over the steps up to `steps`; a fluctuating rate looks steady only
/// `from_zero`.
pub fn chart(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    line: &[(f64, f64)],
    dots: &[(f64, f64)],
    steps: usize,
    from_zero: bool,
) {
    let mut block = Block::bordered().title(Line::from(format!(" {title} ")));
    if !dots.is_empty() && usize::from(area.width) > title.len() + LEGEND.len() + 4 {
        block = block.title(Line::from(LEGEND).right_aligned());
    }
    let Some((low, high)) = bounds(line, dots).map(|(low, high)| (if from_zero { low.min(0.0) } else { low }, high))
    else {
        let empty = Paragraph::new("no values yet").centered().block(block);
        return frame.render_widget(empty, area);
    };
    let dataset = |points, marker, graph, colour| {
        Dataset::default().data(points).marker(marker).graph_type(graph).style(Style::new().fg(colour))
    };
    let datasets = vec![
        dataset(line, Marker::Braille, GraphType::Line, Color::Cyan),
        dataset(dots, Marker::Dot, GraphType::Scatter, Color::Yellow),
    ];
    // To the last step where the curve is long enough to be seen so, else to where it is.
    let reached = line.iter().chain(dots).map(|point| point.0).fold(1.0, f64::max);
    let end = if reached * 8.0 >= steps as f64 { (steps as f64).max(reached) } else { reached * 2.0 };
    let y_labels = [low, (low + high) / 2.0, high].map(short);
    let x_labels = ["0".to_owned(), if area.width < 40 { format!("{end:.0}") } else { format!("step {end:.0}") }];
    let widget = Chart::new(datasets)
        .block(block)
        .x_axis(Axis::default().bounds([0.0, end]).labels(x_labels).style(Style::new().fg(Color::DarkGray)))
        .y_axis(Axis::default().bounds([low, high]).labels(y_labels).style(Style::new().fg(Color::DarkGray)));
    frame.render_widget(widget, area);
}

/// The smallest and the largest value, with a margin if they are equal; `None` without values.
fn bounds(line: &[(f64, f64)], dots: &[(f64, f64)]) -> Option<(f64, f64)> {
    let values = line.iter().chain(dots).map(|point| point.1);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
    if low > high {
        return None;
    }
    let margin = if low == high { low.abs().max(1e-9) / 10.0 } else { 0.0 };
    Some((low - margin, high + margin))
}

/// A number with four digits, in about eight characters.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !size.is_finite() => format!("{value}"),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_all_values_and_are_never_empty() {
        assert_eq!(bounds(&[(0.0, 2.0), (1.0, -1.0)], &[(0.0, 5.0)]), Some((-1.0, 5.0)));
        assert_eq!(bounds(&[], &[]), None);
        for value in [0.0, 3.0, -1e30, 1e-30] {
            let (low, high) = bounds(&[(0.0, value)], &[]).unwrap();
            assert!(low < value && value < high, "{value}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.5, -12.345, 5.72e-4, 12345.6, 1e9, f64::NAN, f64::NEG_INFINITY].map(short);
        assert_eq!(texts, ["0", "0.5000", "-12.35", "5.72e-4", "12346", "1.00e9", "NaN", "-inf"]);
    }
}
