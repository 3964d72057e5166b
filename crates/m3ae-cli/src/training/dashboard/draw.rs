//! A frame of the dashboard.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table};

use super::chart::{chart, short};
use super::view::{Phase, View};
use crate::training::pace::readable;

/// From this width on the numbers are beside the charts.
const WIDE: u16 = 100;
/// The width of the numbers.
const NUMBERS: u16 = 46;
/// The minimum height of a readable chart.
const CHART: u16 = 7;

/// What is shown besides the run's own numbers.
pub struct Surroundings {
    /// The run was asked to stop.
    pub stopping: bool,
    /// Bytes of memory now.
    pub memory: Option<u64>,
    /// Bytes of memory at the peak.
    pub peak: Option<u64>,
}

/// Draws everything that fits: header, progress and keys first, then numbers, charts and notices.
pub fn draw(frame: &mut Frame<'_>, view: &View, around: &Surroundings) {
    let notices = match frame.area().height {
        0..18 => 0,
        18..32 => view.notices.len().min(2),
        _ => view.notices.len().min(5),
    } as u16;
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(if notices > 0 { notices + 2 } else { 0 }),
        Constraint::Length(1),
    ];
    let [head, progress, body, below, keys] = Layout::vertical(rows).areas(frame.area());
    draw_head(frame, head, view, around);
    draw_progress(frame, progress, view);
    draw_body(frame, body, view, around);
    if notices > 0 {
        let newest = view.notices.iter().skip(view.notices.len() - usize::from(notices));
        let lines: Vec<Line<'_>> = newest.map(|text| Line::from(one_line(text))).collect();
        let title = format!(" notices: {} ", view.notices.len() + view.dropped);
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), below);
    }
    let stop = if around.stopping { "q again: quit now, without saving" } else { "q: stop and save" };
    let text = match keys.width {
        0..40 => format!(" {stop}"),
        _ => format!(" {stop}   ← →: other metric"),
    };
    frame.render_widget(Paragraph::new(text).dark_gray(), keys);
}

/// The text without control characters, which would move the cursor.
fn one_line(text: &str) -> String {
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, view: &View, around: &Surroundings) {
    let (phase, colour) = match view.phase(around.stopping) {
        Phase::Beginning => ("starting", Color::Cyan),
        Phase::Training => ("training", Color::Green),
        Phase::Finishing => ("last step done: validating, saving", Color::Green),
        Phase::Stopping => ("stopping: finishing the step, saving", Color::Yellow),
    };
    let columns = [Constraint::Fill(1), Constraint::Length(phase.len() as u16 + 1)];
    let [left, right] = Layout::horizontal(columns).spacing(1).areas(area);
    let name = Line::from(vec![format!(" {}", view.name).bold(), format!("  {}", view.folder).dark_gray()]);
    frame.render_widget(name, left);
    frame.render_widget(Line::from(phase).style(Style::new().fg(colour).bold()), right);
}

/// `step 312/600  epoch 2  ██████░░░░░  52 %  2 min 14 s spent, 1 min 50 s left`; what does not fit is left out.
fn draw_progress(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let step = view.last.as_ref().map_or(0, |last| last.step);
    let share = (step as f64 / view.steps.max(1) as f64).clamp(0.0, 1.0);
    let mut before = format!(" step {step}/{}", view.steps);
    let epoch = view.last.as_ref().map_or(0, |last| last.epoch);
    let left = view.left.map_or_else(String::new, |left| format!(", {} left", readable(left)));
    let percent = format!(" {:.0} %", 100.0 * share);
    let times = format!("  {} spent{left}", readable(view.began.elapsed()));
    let wide = usize::from(area.width);
    let mut after = percent;
    if before.len() + after.len() + times.len() < wide {
        after += &times;
    }
    let count = format!("  epoch {epoch}");
    if before.len() + after.len() + count.len() < wide {
        before += &count;
    }
    let room = wide.saturating_sub(before.len() + after.len() + 3);
    let bar = match room {
        0..8 => String::new(),
        _ => {
            let full = (share * room as f64) as usize;
            format!("  {}{}", "█".repeat(full), "░".repeat(room - full))
        }
    };
    frame.render_widget(Line::from(vec![before.into(), bar.cyan(), after.into()]), area);
}

fn draw_body(frame: &mut Frame<'_>, area: Rect, view: &View, around: &Surroundings) {
    let table_rows = view.history.metrics.len() as u16 + 1;
    let facts = facts(view, around);
    let facts_rows = facts.len() as u16;
    if area.width >= WIDE && area.height >= CHART {
        let [charts, numbers] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(NUMBERS)]).areas(area);
        draw_charts(frame, charts, view);
        let inside = block(frame, numbers);
        let [table, _, rest] =
            Layout::vertical([Constraint::Length(table_rows), Constraint::Length(1), Constraint::Fill(1)])
                .areas(inside);
        draw_table(frame, table, view);
        return draw_facts(frame, rest, facts);
    }
    let two_columns = area.width >= NUMBERS + 30;
    let rows = if two_columns { table_rows.max(facts_rows) } else { table_rows + facts_rows };
    let numbers_rows = if area.height >= rows + CHART { rows } else { table_rows };
    let area = match area.height.checked_sub(numbers_rows).filter(|&rest| rest >= CHART) {
        Some(rest) => {
            let [charts, numbers] =
                Layout::vertical([Constraint::Length(rest), Constraint::Length(numbers_rows)]).areas(area);
            draw_charts(frame, charts, view);
            numbers
        }
        None => area,
    };
    if two_columns {
        let [table, rest] = Layout::horizontal([Constraint::Length(NUMBERS), Constraint::Fill(1)]).areas(area);
        draw_table(frame, table, view);
        draw_facts(frame, rest, facts);
    } else {
        let [table, rest] = Layout::vertical([Constraint::Length(table_rows), Constraint::Fill(1)]).areas(area);
        draw_table(frame, table, view);
        draw_facts(frame, rest, facts);
    }
}

fn block(frame: &mut Frame<'_>, area: Rect) -> Rect {
    let block = Block::bordered();
    let inside = block.inner(area);
    frame.render_widget(block, area);
    inside
}

/// The chosen metric and, if there is room, a row of small charts.
fn draw_charts(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let small = if area.height >= 3 * CHART && area.width >= 60 { area.height / 3 } else { 0 };
    let [main, row] = Layout::vertical([Constraint::Fill(1), Constraint::Length(small)]).areas(area);
    match view.history.metrics.get(view.chosen) {
        Some(metric) => {
            let title = m3ae_train::describe_metric(&metric.name).trim();
            chart(frame, main, title, &metric.train.points(), &metric.validation.points(), view.steps, false);
        }
        None => chart(frame, main, "metrics", &[], &[], view.steps, false),
    }
    if small > 0 {
        let history = &view.history;
        let panels = [
            ("learning rate", &history.learning_rate),
            ("gradient norm", &history.gradient_norm),
            ("samples/s", &history.samples_per_second),
        ];
        let places: [Rect; 3] = Layout::horizontal([Constraint::Fill(1); 3]).areas(row);
        for ((title, series), place) in panels.into_iter().zip(places) {
            chart(frame, place, title, &series.points(), &[], view.steps, true);
        }
    }
}

/// Each metric on both splits, the chosen one marked.
fn draw_table(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let value = |metrics: Option<&m3ae_train::Metrics>, name: &str| {
        metrics.and_then(|metrics| metrics.get(name)).map_or_else(|| "-".to_owned(), short)
    };
    let right = |text: String| Line::from(text).right_aligned();
    // If not all rows fit, scroll to the chosen one.
    let skip = (view.chosen + 2).saturating_sub(usize::from(area.height));
    let rows = view.history.metrics.iter().enumerate().skip(skip).map(|(number, metric)| {
        let name = &metric.name;
        let (sign, style) = match number == view.chosen {
            true => ("›", Style::new().add_modifier(Modifier::BOLD)),
            false => (" ", Style::new()),
        };
        Row::new([
            Line::from(format!("{sign}{name}")),
            right(value(view.last.as_ref().map(|last| &last.metrics), name)),
            right(value(view.validation.as_ref(), name)),
            right(value(view.best.as_ref().map(|best| &best.1), name)),
        ])
        .style(style)
    });
    let names = view.history.metrics.iter().map(|metric| metric.name.len() + 1).max().unwrap_or(0) as u16;
    let columns = match area.width {
        0..28 => vec![Constraint::Fill(1), Constraint::Length(8)],
        _ => {
            let mut columns = vec![Constraint::Length(names); 1];
            columns.extend([Constraint::Length(9), Constraint::Length(10), Constraint::Length(9)]);
            columns
        }
    };
    let head =
        Row::new([Line::from(" metric"), right("training".into()), right("validation".into()), right("best".into())]);
    frame.render_widget(Table::new(rows, columns).header(head.dark_gray()), area);
}

/// Names and values of everything that is not a metric.
fn facts(view: &View, around: &Surroundings) -> Vec<(&'static str, String)> {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
    let mebibytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    let last = view.last.as_ref();
    vec![
        ("learning rate", number(last.map(|last| last.learning_rate))),
        ("gradient norm", number(last.map(|last| last.gradient_norm))),
        ("samples/s", last.map_or_else(|| "-".to_owned(), |last| format!("{:.1}", last.samples_per_second))),
        ("memory", mebibytes(around.memory)),
        ("peak memory", mebibytes(around.peak)),
        ("best so far", view.best.as_ref().map_or_else(|| "-".to_owned(), |best| format!("step {}", best.0))),
    ]
}

fn draw_facts(frame: &mut Frame<'_>, area: Rect, facts: Vec<(&'static str, String)>) {
    let rows = facts.into_iter().map(|(name, value)| {
        Row::new([
            Line::from(format!(" {name}")).style(Style::new().fg(Color::DarkGray)),
            Line::from(value).right_aligned(),
        ])
    });
    frame.render_widget(Table::new(rows, [Constraint::Length(15), Constraint::Length(12)]), area);
}
