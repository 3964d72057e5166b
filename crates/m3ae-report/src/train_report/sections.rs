//! The parts of the page that come from numbers and texts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::read::{Curves, History, Point};
use crate::chart::{LineChart, Series};
use crate::format::format_number;
use crate::page::{Align, Page, Section, Table};

/// Curves of more points than this are smoothed.
const SMOOTH_FROM: usize = 40;
/// Curves of at most this many points have a dot at each.
const MARKERS_TO: usize = 60;
/// A gradient norm that varies by more than this factor is drawn logarithmically.
const LOG_FROM: f64 = 50.0;

/// How far the run is, and on what.
pub(super) fn summary(page: &mut Page, history: &History) {
    let number = |key: &str| history.start.get(key).and_then(Value::as_f64);
    let latest = |name: &str| history.progress.get(name).and_then(|curve| curve.last()).map(|point| point.1);
    let mut line = format!("Step {}", format_number(history.step as f64));
    if let Some(steps) = number("steps").filter(|&steps| steps > 0.0) {
        let share = history.step as f64 / steps * 100.0;
        line += &format!(" of {} ({share:.0} %)", format_number(steps));
    }
    if let Some(epoch) = latest("epoch") {
        line += &format!(", epoch {epoch:.0} (from 0)");
    }
    if let Some(seconds) = latest("seconds") {
        line += &format!(", {} of training", duration(seconds));
        let left = number("steps").map(|steps| (steps - history.step as f64) * seconds / history.step.max(1) as f64);
        if let Some(left) = left.filter(|&left| left > 0.0) {
            line += &format!(", about {} left", duration(left));
        }
    }
    page.summary(line + ".");
    let shown = ["parameters", "train_samples", "train_images", "val_samples", "test_samples", "vocabulary", "answers"];
    let known: Vec<String> = shown
        .iter()
        .filter_map(|key| Some(format!("{} {}", format_number(number(key)?), key.replace('_', " "))))
        .collect();
    if !known.is_empty() {
        page.summary(known.join(" · "));
    }
    if let Some(initial) = history.start.get("initial").and_then(Value::as_array) {
        for source in initial.iter().filter_map(Value::as_str) {
            page.summary(format!("Initial weights: {source}"));
        }
    }
    if history.resumed > 0 {
        page.summary(format!(
            "The run went back to an earlier step {} times; the later numbers are shown.",
            history.resumed
        ));
    }
    if history.damaged > 0 {
        page.notice(format!("{} lines of metrics.jsonl could not be read and are left out.", history.damaged));
    }
}

/// A chart for each metric, and what validation says in a table.
pub(super) fn metrics(page: &mut Page, history: &History) {
    let names: BTreeSet<&String> = history.train.keys().chain(history.validation.keys()).collect();
    if names.is_empty() {
        page.section("Metrics").text("No step has been recorded yet.");
        return;
    }
    // Losses first: they are what is minimised.
    let (losses, others): (Vec<&String>, Vec<&String>) = names.into_iter().partition(|name| is_loss(name));
    let section = page.section("Losses and metrics");
    section.figures(losses.iter().chain(&others).map(|name| {
        let mut chart = LineChart::new(name.replace('_', " ")).x_label("step").x_from_zero();
        for (label, curves) in [("train", &history.train), ("validation", &history.validation)] {
            if let Some(curve) = curves.get(*name) {
                chart = chart.series(styled(label, curve));
            }
        }
        chart.draw()
    }));
    validation_table(section, &history.validation, losses.into_iter().chain(others));
    test_table(section, &history.test);
}

fn test_table(section: &mut Section, test: &Curves) {
    let mut table = Table::new([("Test", Align::Left), ("Value", Align::Right), ("After step", Align::Right)]);
    for (name, point) in test.iter().filter_map(|(name, curve)| Some((name, curve.last()?))) {
        let numbers = [point.1, point.0].map(|value| format_number(value).into());
        table.row([name.replace('_', " ").into()].into_iter().chain(numbers));
    }
    if !table.is_empty() {
        section.table(&table);
    }
}

fn validation_table<'a>(section: &mut Section, validation: &Curves, names: impl Iterator<Item = &'a String>) {
    let columns = [("First", Align::Right), ("Best", Align::Right), ("At step", Align::Right), ("Last", Align::Right)];
    let mut table = Table::new([("Validation", Align::Left)].into_iter().chain(columns));
    for name in names {
        let points = || validation.get(name).into_iter().flatten().filter(|point| point.1.is_finite());
        let by_value = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
        let best = if is_loss(name) { points().min_by(by_value) } else { points().max_by(by_value) };
        let (Some(first), Some(best), Some(last)) = (points().next(), best, points().next_back()) else { continue };
        let numbers = [first.1, best.1, best.0, last.1].map(|value| format_number(value).into());
        table.row([name.replace('_', " ").into()].into_iter().chain(numbers));
    }
    if !table.is_empty() {
        section.table(&table);
    }
}

/// Learning rate, gradient norm, throughput, and other numbers of training lines.
pub(super) fn progress(page: &mut Page, history: &History) {
    let charts: Vec<_> = history
        .progress
        .iter()
        .filter(|(name, _)| !["epoch", "seconds"].contains(&name.as_str()))
        .map(|(name, curve)| {
            let title = match name.as_str() {
                "samples_per_second" => "throughput, samples/s".to_owned(),
                name => name.replace('_', " "),
            };
            // The learning rate is set, not measured: it has no noise to smooth.
            let smooth_is_exact = name == "learning_rate";
            let series = if smooth_is_exact { Series::new("train", curve.clone()) } else { styled("train", curve) };
            let chart = LineChart::new(title).x_label("step").x_from_zero().series(series);
            if name == "gradient_norm" && spread(curve) > LOG_FROM { chart.log_y().draw() } else { chart.draw() }
        })
        .collect();
    if !charts.is_empty() {
        page.section("Progress").figures(charts);
    }
}

fn styled(label: &str, curve: &[Point]) -> Series {
    let series = Series::new(label, curve.to_vec());
    match curve.len() {
        _ if label == "validation" && curve.len() <= MARKERS_TO => series.with_markers(),
        count if count > SMOOTH_FROM && label != "validation" => series.smoothed(smoothing(count)),
        _ => series,
    }
}

/// A weight of the past that averages over about a hundredth of the curve: much longer ones lag visibly.
fn smoothing(count: usize) -> f64 {
    1.0 - (100.0 / count as f64).min(0.5)
}

/// By what factor the positive values vary.
fn spread(curve: &[Point]) -> f64 {
    let positive = curve.iter().map(|point| point.1).filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    high / low
}

/// Losses are better when they are lower.
fn is_loss(name: &str) -> bool {
    name.contains("loss")
}

/// The resolved recipe, as it is.
pub(super) fn config(page: &mut Page, folder: &Path) {
    if let Ok(text) = fs::read_to_string(folder.join("config.toml")) {
        page.section("Config").preformatted(text);
    }
}

/// Names and texts of `environment.json`.
pub(super) fn environment(page: &mut Page, folder: &Path) {
    let Ok(bytes) = fs::read(folder.join("environment.json")) else { return };
    let section = page.section("Environment");
    match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(entries) => {
            let mut table = Table::new([("Name", Align::Left), ("Value", Align::Left)]);
            for (name, value) in entries {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                table.row([name.replace('_', " ").into(), value.into()]);
            }
            section.table(&table);
        }
        Err(error) => {
            section.text(format!("environment.json cannot be read: {error}"));
        }
    }
}

/// `1 h 02 min`, `3 min 20 s` or `12 s`.
fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3_600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s:02} s"),
        (h, min, _) => format!("{h} h {min:02} min"),
    }
}
