//! The HTML page that compares two evaluations of the same questions.

use m3ae_random::{Key, Stream};
use m3ae_report::{Align, Cell, Interval, IntervalPlot, Page, Span, Style, Table};

use super::tables::{over, types_in_words};
use crate::bootstrap;
use crate::compare::{Comparison, OVERALL, pair};
use crate::error::EvalError;
use crate::record::Evaluation;
use crate::selection::selection_note;
use crate::vqa::Prediction;

/// The largest number of questions shown that only one of the two answered correctly, for each side.
const SHOWN: usize = 20;
/// Groups that are not question types.
const PARTS: [&str; 3] = [OVERALL, "closed", "open"];

/// One side of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The record.
    pub evaluation: &'a Evaluation,
    /// The model's answers.
    pub predictions: &'a [Prediction],
    /// The folder of both, as the page shows it.
    pub place: &'a str,
}

/// The HTML page of what [`compare`](crate::compare()) found about two evaluations, A and B. `seed` keys the draw of
/// the questions that are shown.
///
/// # Errors
/// The predictions are not of the same questions.
pub fn compare_report(a: Side<'_>, b: Side<'_>, found: &[Comparison], seed: u64) -> Result<Page, EvalError> {
    let pairs = pair(a.predictions, b.predictions)?;
    let mut page = Page::new(format!("A and B on {}, {} split", a.evaluation.benchmark, a.evaluation.split));
    head(&mut page, a, b);
    let (whole, by_type): (Vec<_>, Vec<_>) = found.iter().partition(|of| PARTS.contains(&of.group.as_str()));
    let section = page.section("Result");
    section.text(whole.first().map_or_else(String::new, |overall| overall.sentence("A", "B")));
    groups(section, &whole);
    if !by_type.is_empty() {
        let section = page.section("By type of question");
        section.text(types_in_words(&a.evaluation.benchmark));
        section.text(
            "By chance alone, one in twenty 95 % intervals excludes 0 even if the two do not differ: read a single group \
             with that in mind.",
        );
        groups(section, &by_type);
    }
    for (title, right) in [("Answered correctly by A only", 0), ("Answered correctly by B only", 1)] {
        let is_so =
            |(a, b): &&(&Prediction, &Prediction)| if right == 0 { a.hit() && !b.hit() } else { b.hit() && !a.hit() };
        let chosen: Vec<_> = pairs.iter().filter(is_so).copied().collect();
        if !chosen.is_empty() {
            questions(&mut page, title, chosen, seed);
        }
    }
    settings(&mut page, a.evaluation, b.evaluation);
    Ok(page)
}

fn head(page: &mut Page, a: Side<'_>, b: Side<'_>) {
    for (name, side) in [("A", a), ("B", b)] {
        if let Some(note) = selection_note(side.evaluation).filter(|note| note.warning) {
            page.notice(format!("{name}: {}", note.text));
        }
    }
    if a.evaluation.protocol != b.evaluation.protocol {
        page.notice("A and B have different answer vocabularies: part of a difference may come from that.");
    }
    for (name, side) in [("A", a), ("B", b)] {
        page.summary(format!("{name}: {} (evaluation in {})", side.evaluation.model, side.place));
    }
    page.summary(
        "Differences are B minus A, in points, question by question. Intervals are bootstrap percentiles; quote the one \
         over images, which resamples images with all their questions. A difference is significant if its interval \
         excludes 0.",
    );
}

fn groups(section: &mut m3ae_report::Section, found: &[&Comparison]) {
    let level = found.first().map_or(0.95, |of| of.level);
    let by_image = over(level, "images");
    let right = Align::Right;
    let mut table = Table::new([
        ("Questions", Align::Left),
        ("A %", right),
        ("B %", right),
        ("B − A", right),
        (by_image.as_str(), right),
        ("Significant?", Align::Left),
        ("Over questions", right),
        ("Only A", right),
        ("Only B", right),
        ("McNemar p", right),
        ("Number", right),
        ("Images", right),
    ]);
    let mut rows = Vec::new();
    for of in found {
        let difference = &of.difference;
        table.row([
            of.group.as_str().into(),
            format!("{:.2}", 100.0 * of.a).into(),
            format!("{:.2}", 100.0 * of.b).into(),
            Cell::strong(format!("{:+.2}", 100.0 * difference.value)),
            points(difference.by_image),
            verdict(of),
            points(difference.by_item),
            of.only_a.to_string().into(),
            of.only_b.to_string().into(),
            if of.mcnemar_p < 1e-3 { "< 0.001".into() } else { format!("{:.3}", of.mcnemar_p).into() },
            difference.items.to_string().into(),
            difference.images.to_string().into(),
        ]);
        let ends = difference.interval().map(|ends| (100.0 * ends.low, 100.0 * ends.high));
        rows.push(Interval { name: of.group.clone(), value: 100.0 * difference.value, ends, group: 0 });
    }
    let plot = IntervalPlot::new(format!("B minus A, interval of {by_image}"), "points", rows).guide(0.0);
    section.table(&table).figures([plot.draw()]);
}

fn verdict(of: &Comparison) -> Cell {
    let (text, style) = match (of.distinguishable(), of.difference.value > 0.0) {
        (false, _) => ("no", Style::Faint),
        (true, true) => ("B is better", Style::Strong),
        (true, false) => ("A is better", Style::Strong),
    };
    Cell::of([Span::new(text, style)])
}

fn points(interval: Option<bootstrap::Interval>) -> Cell {
    let ends = |interval: bootstrap::Interval| format!("{:+.1} to {:+.1}", interval.low * 100.0, interval.high * 100.0);
    interval.map_or_else(|| Cell::of([Span::new("none", Style::Faint)]), |interval| ends(interval).into())
}

/// A table of some of the questions with both answers, drawn at random, in their order.
fn questions(page: &mut Page, title: &str, mut chosen: Vec<(&Prediction, &Prediction)>, seed: u64) {
    let all = chosen.len();
    let mut numbers: Vec<usize> = (0..all).collect();
    Key { seed, epoch: 0, sample: title, stream: Stream::Examples }.generator().shuffle(&mut numbers);
    numbers.truncate(SHOWN);
    numbers.sort_unstable();
    chosen = numbers.into_iter().map(|number| chosen[number]).collect();
    let columns = ["Question", "Image", "Truth", "A", "B"].map(|name| (name, Align::Left));
    let mut table = Table::new(columns);
    for (a, b) in &chosen {
        let truth = a.answers.join(" or ");
        table.row([a.question.as_str().into(), a.image_id.as_str().into(), truth.into(), answer(a), answer(b)]);
    }
    let how =
        if chosen.len() < all { format!("{} of {all}, drawn at random.", chosen.len()) } else { format!("All {all}.") };
    page.section(title).text(how).table(&table);
}

/// The model's answer with its probability; mark and colour say whether it is correct.
fn answer(prediction: &Prediction) -> Cell {
    let (mark, style) = if prediction.hit() { ("✓ ", Style::Good) } else { ("✗ ", Style::Bad) };
    let text = format!("{mark}{}", prediction.answer().unwrap_or_default());
    let probability = format!("\u{a0}{:.0}\u{a0}%", 100.0 * prediction.confidence().unwrap_or_default());
    Cell::of([Span::new(text, style), Span::new(probability, Style::Faint)])
}

/// The inputs in which the two evaluations differ.
fn settings(page: &mut Page, a: &Evaluation, b: &Evaluation) {
    let mut table = Table::new([("Name", Align::Left), ("A", Align::Left), ("B", Align::Left)]);
    let names: std::collections::BTreeSet<&String> = a.inputs.keys().chain(b.inputs.keys()).collect();
    let of = |evaluation: &Evaluation, name: &String| {
        evaluation.inputs.get(name).cloned().unwrap_or_else(|| "not recorded".to_owned())
    };
    for name in names {
        let (a, b) = (of(a, name), of(b, name));
        if a != b {
            table.row([name.replace('_', " ").into(), a.into(), b.into()]);
        }
    }
    if !table.is_empty() {
        page.section("What else differs").table(&table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ChosenOn;
    use crate::report::tests::evaluation;
    use crate::vqa::tests::predictions;
    use crate::{Bootstrap, Protocol, compare};

    fn side<'a>(evaluation: &'a Evaluation, predictions: &'a [Prediction]) -> Side<'a> {
        Side { evaluation, predictions, place: "runs/eval/x" }
    }

    #[test]
    fn a_page_tells_groups_types_and_questions_apart() {
        let a_said = predictions(60);
        let mut b_said = a_said.clone();
        // What only one has right has no mark-up in it.
        b_said[1].top[0].0 = "<b>liver</b>".into();
        b_said[1].score = 1.0 - a_said[1].score;
        let (mut a, mut b) = (evaluation(), evaluation());
        a.protocol = Protocol::Published;
        (b.validation_equals_test, b.chosen_on) = (true, ChosenOn::ScoredItems);
        b.model = "runs/other".into();
        a.inputs.insert("weights".into(), "aaaa".into());
        b.inputs.insert("weights".into(), "bbbb".into());
        for of in [&mut a, &mut b] {
            of.inputs.insert("data".into(), "same".into());
        }
        let found = compare(&a_said, &b_said, &Bootstrap { resamples: 400, level: 0.95, seed: 0 }).unwrap();
        let page = compare_report(side(&a, &a_said), side(&b, &b_said), &found, 0).unwrap().html();
        for part in [
            "B: Validation equals test: the checkpoint was chosen",
            "evaluation in runs/eval/x",
            "different answer vocabularies",
            "runs/other",
            "no significant difference",
            "By type of question",
            "modality",
            "&lt;b&gt;liver",
            "What else differs",
            "bbbb",
            "B minus A, interval of 95 % over images",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert!(!page.contains("same</td>"), "what is the same is not listed");
        assert_eq!(page.matches("Answered correctly by").count(), if page.contains("<nav>") { 2 } else { 1 });
    }

    #[test]
    fn other_questions_make_no_page() {
        let (a, b) = (evaluation(), evaluation());
        let error = compare_report(side(&a, &predictions(9)), side(&b, &predictions(8)), &[], 0).unwrap_err();
        assert!(error.to_string().contains("lacks 1 questions"), "{error}");
    }
}
