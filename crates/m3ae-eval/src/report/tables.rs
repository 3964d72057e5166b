//! Scores beside published ones.

use m3ae_report::{Align, Cell, IntervalPlot, Page, Style, Table};

use crate::bootstrap::{Estimate, Interval};
use crate::classification::ClassificationScores;
use crate::published::{PublishedNumber, PublishedSource};
use crate::retrieval::{RECALL_AT, RetrievalScores};
use crate::vqa::VqaScores;

/// Colours of plots: ours and the published numbers.
const OURS: usize = 0;
const PUBLISHED: usize = 1;

pub(super) fn vqa(page: &mut Page, scores: &VqaScores, numbers: &[PublishedNumber]) {
    let columns = [
        ("Questions", Align::Left),
        ("Number", Align::Right),
        ("Images", Align::Right),
        ("Right", Align::Right),
        ("Score %", Align::Right),
        ("95 % over images", Align::Right),
        ("95 % over questions", Align::Right),
        ("Published %", Align::Right),
        ("Released checkpoints %", Align::Right),
    ];
    let mut table = Table::new(columns);
    let mut rows = Vec::new();
    for group in scores.groups() {
        let estimate = &group.score;
        table.row([
            group.name.as_str().into(),
            estimate.items.to_string().into(),
            estimate.images.to_string().into(),
            group.hits.to_string().into(),
            Cell::strong(percent(estimate.value)),
            interval(estimate.by_image),
            interval(estimate.by_item),
            numbers_of(numbers, &group.name, PublishedSource::Paper).into(),
            numbers_of(numbers, &group.name, PublishedSource::ReleasedCheckpoint).into(),
        ]);
        rows.push(plotted(&group.name, estimate));
        rows.extend(plotted_published(numbers, &group.name));
    }
    let section = page.section("Scores");
    section.table(&table);
    if numbers.is_empty() {
        section.text("There are no published numbers for this benchmark.");
    }
    section.figures([IntervalPlot::new("Score with 95 % interval over images", "percent", rows).draw()]);
}

pub(super) fn classification(page: &mut Page, scores: &ClassificationScores, numbers: &[PublishedNumber]) {
    let columns = [
        ("Metric", Align::Left),
        ("%", Align::Right),
        ("95 % over images", Align::Right),
        ("95 % over samples", Align::Right),
        ("Published %", Align::Right),
        ("Released checkpoints %", Align::Right),
    ];
    let mut table = Table::new(columns);
    for (name, estimate) in [("accuracy", &scores.accuracy), ("macro-F1", &scores.macro_f1)] {
        // What is published is accuracy.
        let group = if name == "accuracy" { "overall" } else { name };
        table.row([
            name.into(),
            Cell::strong(percent(estimate.value)),
            interval(estimate.by_image),
            interval(estimate.by_item),
            numbers_of(numbers, group, PublishedSource::Paper).into(),
            numbers_of(numbers, group, PublishedSource::ReleasedCheckpoint).into(),
        ]);
    }
    let rows = [plotted("accuracy", &scores.accuracy), plotted("macro-F1", &scores.macro_f1)];
    let rows = rows.into_iter().chain(plotted_published(numbers, "overall")).collect();
    let accuracy = &scores.accuracy;
    page.section("Scores")
        .text(format!("{} of {} samples right, on {} images.", scores.hits, accuracy.items, accuracy.images))
        .table(&table)
        .figures([IntervalPlot::new("Score with 95 % interval over images", "percent", rows).draw()]);

    let right = Align::Right;
    let columns = [("Precision %", right), ("Recall %", right), ("F1 %", right), ("Samples", right)];
    let mut table = Table::new([("Class", Align::Left)].into_iter().chain(columns));
    for class in &scores.classes {
        let shares = [class.precision, class.recall, class.f1].map(|share| Cell::from(percent(share)));
        table
            .row([Cell::from(class.name.as_str())].into_iter().chain(shares).chain([class.support.to_string().into()]));
    }
    page.section("Classes").table(&table);
}

pub(super) fn retrieval(page: &mut Page, scores: &RetrievalScores) {
    let columns = [
        ("Direction", Align::Left),
        ("Metric", Align::Left),
        ("Value", Align::Right),
        ("95 % over images", Align::Right),
        ("95 % over queries", Align::Right),
        ("Queries", Align::Right),
        ("Candidates", Align::Right),
    ];
    let mut table = Table::new(columns);
    let mut rows = Vec::new();
    for (name, direction) in [("image to text", &scores.image_to_text), ("text to image", &scores.text_to_image)] {
        let mut row = |metric: &str, value: String, intervals: [Cell; 2], items: usize| {
            let [by_image, by_item] = intervals;
            let counts = [items, direction.candidates].map(|count| Cell::from(count.to_string()));
            let cells = [name.into(), metric.into(), Cell::strong(value), by_image, by_item];
            table.row(cells.into_iter().chain(counts));
        };
        for (at, recall) in RECALL_AT.into_iter().zip(&direction.recall) {
            let intervals = [interval(recall.by_image), interval(recall.by_item)];
            row(&format!("recall@{at} %"), percent(recall.value), intervals, recall.items);
            rows.push(plotted(&format!("{name} R@{at}"), recall));
        }
        let median = &direction.median_rank;
        let ranks = |interval: Option<Interval>| {
            interval.map_or_else(none, |interval| format!("{:.1} to {:.1}", interval.low, interval.high).into())
        };
        row(
            "median rank",
            format!("{:.1}", median.value),
            [ranks(median.by_image), ranks(median.by_item)],
            median.items,
        );
    }
    page.section("Scores").text("Ties count against the model.").table(&table).figures([IntervalPlot::new(
        "Recall with 95 % interval over images",
        "percent",
        rows,
    )
    .draw()]);
}

fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}

fn interval(interval: Option<Interval>) -> Cell {
    interval.map_or_else(none, |interval| format!("{:.1} to {:.1}", interval.low * 100.0, interval.high * 100.0).into())
}

fn none() -> Cell {
    Cell::of([m3ae_report::Span::new("none", Style::Faint)])
}

/// The published numbers of a group, or nothing.
fn numbers_of(numbers: &[PublishedNumber], group: &str, source: PublishedSource) -> String {
    let decimals = if source == PublishedSource::Paper { 2 } else { 1 };
    let of = numbers.iter().filter(|number| number.group == group && number.source == source);
    of.map(|number| format!("{:.decimals$}", number.percent)).collect::<Vec<_>>().join(" / ")
}

fn plotted(name: &str, estimate: &Estimate) -> m3ae_report::Interval {
    let ends = estimate.interval().map(|interval| (interval.low * 100.0, interval.high * 100.0));
    m3ae_report::Interval { name: name.to_owned(), value: estimate.value * 100.0, ends, group: OURS }
}

fn plotted_published<'a>(
    numbers: &'a [PublishedNumber],
    group: &'a str,
) -> impl Iterator<Item = m3ae_report::Interval> + 'a {
    let paper = numbers.iter().filter(move |number| number.group == group && number.source == PublishedSource::Paper);
    paper.map(|number| m3ae_report::Interval {
        name: format!("{}, published", number.group),
        value: number.percent,
        ends: None,
        group: PUBLISHED,
    })
}
