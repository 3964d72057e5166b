//! Tables of scores, with published numbers beside them.

use m3ae_report::{Align, Cell, IntervalPlot, Page, Section, Style, Table};

use crate::bootstrap::{Estimate, Interval};
use crate::classification::ClassificationScores;
use crate::published::{PublishedNumber, PublishedSource};
use crate::retrieval::{RECALL_AT, RetrievalScores};
use crate::vqa::{GroupScore, VqaScores};

/// Colours of plots: ours and the published numbers.
const OURS: usize = 0;
const PUBLISHED: usize = 1;

pub(super) fn vqa(page: &mut Page, benchmark: &str, scores: &VqaScores, level: f64, numbers: &[PublishedNumber]) {
    let whole: Vec<&GroupScore> = scores.groups().take(scores.groups().count() - scores.by_type.len()).collect();
    let section = page.section("Scores");
    groups(section, &whole, level, numbers);
    if numbers.is_empty() {
        section.text("There are no published numbers for this benchmark.");
    }
    if scores.by_type.is_empty() {
        return;
    }
    let section = page.section("Scores by type of question");
    section.text(types_in_words(benchmark));
    let counted: usize = scores.by_type.iter().map(|group| group.score.items).sum();
    if counted > scores.overall.score.items {
        section.text("A question of several types counts in each of them.");
    }
    if scores.by_type.iter().any(|group| [0, group.score.items].contains(&group.hits)) {
        section.text(
            "If all answers of a type are correct, or all are incorrect, resampling has no spread and the interval says \
             nothing.",
        );
    }
    groups(section, &scores.by_type.iter().collect::<Vec<_>>(), level, &[]);
}

/// A table and a plot of groups of questions, with published numbers if there are any.
fn groups(section: &mut Section, groups: &[&GroupScore], level: f64, numbers: &[PublishedNumber]) {
    let [by_image, by_item] = ["images", "questions"].map(|unit| over(level, unit));
    let mut columns = vec![("Questions", Align::Left), ("Score %", Align::Right), (&by_image, Align::Right)];
    if !numbers.is_empty() {
        columns.extend([("Published %", Align::Right), ("Released checkpoints %", Align::Right)]);
    }
    columns.extend([(by_item.as_str(), Align::Right), ("Right", Align::Right), ("Number", Align::Right)]);
    columns.push(("Images", Align::Right));
    let mut table = Table::new(columns);
    let mut rows = Vec::new();
    for group in groups {
        let estimate = &group.score;
        let score = [group.name.as_str().into(), Cell::strong(percent(estimate.value)), interval(estimate.by_image)];
        let sources = [PublishedSource::Paper, PublishedSource::ReleasedCheckpoint];
        let published = sources.map(|source| Cell::from(numbers_of(numbers, &group.name, source)));
        let published = published.into_iter().filter(|_| !numbers.is_empty());
        let counts = [group.hits, estimate.items, estimate.images].map(|count| Cell::from(count.to_string()));
        table.row(score.into_iter().chain(published).chain([interval(estimate.by_item)]).chain(counts));
        rows.push(plotted(&group.name, estimate));
        rows.extend(plotted_published(numbers, &group.name, &group.name));
    }
    let plot = IntervalPlot::new(format!("Score, interval of {by_image}"), "percent", rows);
    section.table(&table).figures([plot.draw()]);
}

pub(super) fn classification(page: &mut Page, scores: &ClassificationScores, level: f64, numbers: &[PublishedNumber]) {
    let [by_image, by_item] = ["images", "samples"].map(|unit| over(level, unit));
    let mut table = Table::new([
        ("Metric", Align::Left),
        ("%", Align::Right),
        (&by_image, Align::Right),
        ("Published %", Align::Right),
        ("Released checkpoints %", Align::Right),
        (&by_item, Align::Right),
    ]);
    for (name, estimate) in [("accuracy", &scores.accuracy), ("macro-F1", &scores.macro_f1)] {
        // The published number is the accuracy.
        let group = if name == "accuracy" { "overall" } else { name };
        table.row([
            name.into(),
            Cell::strong(percent(estimate.value)),
            interval(estimate.by_image),
            numbers_of(numbers, group, PublishedSource::Paper).into(),
            numbers_of(numbers, group, PublishedSource::ReleasedCheckpoint).into(),
            interval(estimate.by_item),
        ]);
    }
    let rows = [plotted("accuracy", &scores.accuracy), plotted("macro-F1", &scores.macro_f1)];
    let rows = rows.into_iter().chain(plotted_published(numbers, "overall", "accuracy")).collect();
    let accuracy = &scores.accuracy;
    page.section("Scores")
        .text(format!("{} of {} samples correct, on {} images.", scores.hits, accuracy.items, accuracy.images))
        .table(&table)
        .figures([IntervalPlot::new(format!("Score, interval of {by_image}"), "percent", rows).draw()]);

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

pub(super) fn retrieval(page: &mut Page, scores: &RetrievalScores, level: f64) {
    let [by_image, by_item] = ["images", "queries"].map(|unit| over(level, unit));
    let mut table = Table::new([
        ("Direction", Align::Left),
        ("Metric", Align::Left),
        ("Value", Align::Right),
        (&by_image, Align::Right),
        (&by_item, Align::Right),
        ("Queries", Align::Right),
        ("Candidates", Align::Right),
    ]);
    let mut rows = Vec::new();
    for (name, direction) in [("image to text", &scores.image_to_text), ("text to image", &scores.text_to_image)] {
        let mut row = |metric: &str, value: String, intervals: [Cell; 2], items: usize| {
            let [over_images, over_queries] = intervals;
            let counts = [items, direction.candidates].map(|count| Cell::from(count.to_string()));
            let cells = [name.into(), metric.into(), Cell::strong(value), over_images, over_queries];
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
        format!("Recall, interval of {by_image}"),
        "percent",
        rows,
    )
    .draw()]);
}

/// An explanation of the names of a benchmark's question types.
pub(super) fn types_in_words(benchmark: &str) -> &'static str {
    match benchmark {
        "vqa-rad" | "phantom-vqa" => {
            "The types are the data set's own: ABN abnormality, ATTRIB other attribute, POS position, PRES presence of \
             something."
        }
        "slake" => "The types are the data set's own; KG questions need knowledge that the image does not show.",
        _ => "The types are the data set's own.",
    }
}

/// The heading of a column of intervals.
pub(super) fn over(level: f64, unit: &str) -> String {
    format!("{:.0} % over {unit}", level * 100.0)
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}

pub(super) fn interval(interval: Option<Interval>) -> Cell {
    interval.map_or_else(none, |interval| format!("{:.1} to {:.1}", interval.low * 100.0, interval.high * 100.0).into())
}

fn none() -> Cell {
    Cell::of([m3ae_report::Span::new("none", Style::Faint)])
}

/// The published numbers of a group; empty if there are none.
fn numbers_of(numbers: &[PublishedNumber], group: &str, source: PublishedSource) -> String {
    let decimals = if source == PublishedSource::Paper { 2 } else { 1 };
    let of = numbers.iter().filter(|number| number.group == group && number.source == source);
    of.map(|number| format!("{:.decimals$}", number.percent)).collect::<Vec<_>>().join(" / ")
}

fn plotted(name: &str, estimate: &Estimate) -> m3ae_report::Interval {
    let ends = estimate.interval().map(|interval| (interval.low * 100.0, interval.high * 100.0));
    m3ae_report::Interval { name: name.to_owned(), value: estimate.value * 100.0, ends, group: OURS }
}

/// The paper's number of a group, under the name `name`.
fn plotted_published(numbers: &[PublishedNumber], group: &str, name: &str) -> Option<m3ae_report::Interval> {
    let paper = numbers.iter().find(|number| number.group == group && number.source == PublishedSource::Paper)?;
    let name = format!("{name}, published");
    Some(m3ae_report::Interval { name, value: paper.percent, ends: None, group: PUBLISHED })
}
