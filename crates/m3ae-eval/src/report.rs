//! The HTML page of an evaluation.

mod compare;
mod gallery;
mod tables;

use m3ae_report::{Align, Bin, BinChart, HeatMap, Page, Table};

pub use compare::{Side, compare_report};
pub use gallery::{Case, choose_cases};

use crate::calibration::Calibration;
use crate::confusion::Confusion;
use crate::error::EvalError;
use crate::published::{comparability, published};
use crate::record::{Evaluation, Protocol, Scores};
use crate::selection::selection_note;

/// The HTML page of an evaluation. Its first lines say how the checkpoint was chosen; `cases` are shown as a gallery.
///
/// # Errors
/// A case's picture is not a PNG.
pub fn eval_report(evaluation: &Evaluation, cases: &[Case]) -> Result<Page, EvalError> {
    let mut page = Page::new(format!("{}, {} split", evaluation.benchmark, evaluation.split));
    head(&mut page, evaluation);
    let (numbers, protocol) = published(&evaluation.benchmark);
    let level = evaluation.bootstrap.level;
    match &evaluation.scores {
        Scores::Vqa { scores, calibration, confusion } => {
            tables::vqa(&mut page, &evaluation.benchmark, scores, level, &numbers);
            add_calibration(&mut page, calibration);
            add_confusion(&mut page, confusion);
        }
        Scores::Classification { scores } => {
            tables::classification(&mut page, scores, level, &numbers);
            add_confusion(&mut page, &scores.confusion);
        }
        Scores::Retrieval { scores } => tables::retrieval(&mut page, scores, level),
    }
    gallery::add(&mut page, cases)?;
    if let Some(protocol) = protocol {
        let section = page.section("How the published numbers were made").text(protocol);
        match comparability(evaluation) {
            Some(found) if !found.same => {
                section.text(format!("This result follows another protocol. {}", found.differences.join(" ")));
            }
            Some(_) => {
                section.text("This result has the same vocabulary and splits.");
            }
            None => {}
        }
    }
    if !(evaluation.inputs.is_empty() && evaluation.environment.is_empty()) {
        let mut table = Table::new([("Name", Align::Left), ("Value", Align::Left)]);
        for (name, value) in evaluation.inputs.iter().chain(&evaluation.environment) {
            table.row([name.replace('_', " ").into(), value.as_str().into()]);
        }
        page.section("Inputs and environment").table(&table);
    }
    Ok(page)
}

fn head(page: &mut Page, evaluation: &Evaluation) {
    match selection_note(evaluation) {
        Some(note) if note.warning => _ = page.notice(note.text),
        Some(note) => _ = page.summary(note.text),
        None => {}
    }
    page.summary(format!("Model: {}", evaluation.model));
    page.summary(format!("Protocol: {}", protocol_in_words(evaluation.protocol, &evaluation.scores)));
    let bootstrap = &evaluation.bootstrap;
    page.summary(format!(
        "Intervals: {:.0} % bootstrap percentiles from {} resamples (seed {}), over single items and over images with all \
         their items; quote the latter.",
        bootstrap.level * 100.0,
        bootstrap.resamples,
        bootstrap.seed
    ));
    for note in &evaluation.notes {
        page.summary(note);
    }
}

/// Only question answering has a vocabulary of answers; in the other tasks both protocols use the data set's own
/// splits.
fn protocol_in_words(protocol: Protocol, scores: &Scores) -> &'static str {
    match (protocol, scores) {
        (Protocol::Published, Scores::Vqa { .. }) => "published (vocabulary from all splits, test included)",
        (Protocol::Clean, Scores::Vqa { .. }) => "clean (vocabulary from train)",
        _ => "the data set's own splits, as published",
    }
}

fn add_calibration(page: &mut Page, calibration: &Calibration) {
    let bins =
        calibration.bins.iter().map(|bin| Bin { from: bin.from, to: bin.to, height: bin.accuracy, count: bin.count });
    let chart = BinChart::new("Reliability", "probability of the model's answer", "share right", bins.collect());
    let side = if calibration.confidence > calibration.accuracy { "over" } else { "under" };
    page.section("Calibration")
        .text(format!(
            "Expected calibration error {:.2} points, over {} bins of equal width. The mean probability of the model's \
             answers is {:.2} % and the mean score {:.2} %: on average the model is {side}confident. A bar that ends at \
             the dashed line is perfectly calibrated; the grey bars below count questions.",
            calibration.ece * 100.0,
            calibration.bins.len(),
            calibration.confidence * 100.0,
            calibration.accuracy * 100.0,
        ))
        .figures([chart.diagonal().draw()]);
}

fn add_confusion(page: &mut Page, confusion: &Confusion) {
    let values = confusion.counts.iter().map(|row| row.iter().map(|&count| count as f64).collect()).collect();
    let map = HeatMap::new("Truth against prediction", confusion.labels.clone(), confusion.labels.clone(), values);
    page.section("Confusion").text("Counts; the colour is the share of the row.").figures([map.draw()]);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::ChosenOn;
    use crate::vqa::tests::predictions;
    use crate::{Bootstrap, Labelled, ScoreMatrix, calibration, classification_scores, retrieval_scores, vqa_scores};

    const QUICK: Bootstrap = Bootstrap { resamples: 400, level: 0.95, seed: 0 };

    pub(crate) fn evaluation() -> Evaluation {
        let list = predictions(60);
        let items: Vec<(f64, f64)> = list.iter().map(|p| (p.confidence().unwrap(), p.score)).collect();
        let scores = Scores::Vqa {
            scores: vqa_scores(&list, &QUICK).unwrap(),
            calibration: calibration(&items, 15).unwrap(),
            confusion: Confusion::of_answers(&list, 5),
        };
        let mut evaluation = Evaluation::new("vqa-rad", "test", "runs/<x>/model", Protocol::Clean, QUICK, scores);
        evaluation.validation_compared = true;
        evaluation.notes.push("2 questions were cut to 32 tokens.".into());
        evaluation.environment.insert("device".into(), "cpu".into());
        evaluation
    }

    #[test]
    fn the_first_lines_say_whether_validation_equals_test() {
        let mut evaluation = evaluation();
        let first = |evaluation: &Evaluation| {
            let html = eval_report(evaluation, &[]).unwrap().html();
            html.split("<h1>").nth(1).unwrap().split("Model:").next().unwrap().to_owned()
        };
        assert!(first(&evaluation).contains("It is unknown how this checkpoint was chosen"));
        evaluation.chosen_on = ChosenOn::OtherItems;
        assert!(first(&evaluation).contains("Validation and test are different items"));
        evaluation.validation_compared = false;
        assert!(!first(&evaluation).contains("Validation and test"));
        (evaluation.chosen_on, evaluation.validation_equals_test) = (ChosenOn::ScoredItems, true);
        assert!(first(&evaluation).contains("Validation equals test"));
    }

    #[test]
    fn published_numbers_stand_beside_with_their_protocol() {
        let html = eval_report(&evaluation(), &[]).unwrap().html();
        for part in [
            "77.01",
            "83.46",
            "67.23",
            "77.4",
            "users copy",
            "follows another protocol",
            "runs/&lt;x&gt;/model",
            "32 tokens",
            "Reliability",
        ] {
            assert!(html.contains(part), "{part}");
        }
    }

    #[test]
    fn classification_and_retrieval_have_their_tables() {
        let names = ["facs".to_owned(), "western <blot>".to_owned()];
        let samples: Vec<Labelled> = (0..20)
            .map(|i| Labelled { image_id: i.to_string(), truth: i % 2, predicted: usize::from(i % 3 == 0) })
            .collect();
        let scores = Scores::Classification { scores: classification_scores(&samples, &names, &QUICK).unwrap() };
        let evaluation = Evaluation::new("melinda", "test", "m", Protocol::Published, QUICK, scores);
        let html = eval_report(&evaluation, &[]).unwrap().html();
        for part in ["macro-F1", "western &lt;blot&gt;", "78.50", "has the same vocabulary and splits"] {
            assert!(html.contains(part), "{part}");
        }
        let matrix = ScoreMatrix { scores: &[0.9, 0.1, 0.2, 0.8], images: 2, image_of_text: &[0, 1] };
        let scores = Scores::Retrieval { scores: retrieval_scores(&matrix, &QUICK).unwrap() };
        let evaluation = Evaluation::new("roco", "val", "m", Protocol::Published, QUICK, scores);
        let html = eval_report(&evaluation, &[]).unwrap().html();
        assert!(html.contains("recall@10") && html.contains("median rank") && html.contains("100.00"), "{html}");
    }
}
