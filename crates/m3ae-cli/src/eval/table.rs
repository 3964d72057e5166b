//! The table of scores that `m3ae eval` prints.

use m3ae_eval::{Estimate, Evaluation, Interval, Protocol, RECALL_AT, Scores, published, selection_note};

use crate::output::say;

/// Prints the table of scores, with notes on how they were made.
pub fn print(evaluation: &Evaluation) {
    say!("\n{}, {} split", evaluation.benchmark, evaluation.split);
    if let Some(note) = selection_note(evaluation) {
        say!("{}: {}", if note.warning { "WARNING" } else { "note" }, note.text);
    }
    match (&evaluation.scores, evaluation.protocol) {
        (Scores::Vqa { .. }, Protocol::Published) => say!("protocol: published (vocabulary of all splits)"),
        (Scores::Vqa { .. }, Protocol::Clean) => say!("protocol: clean (vocabulary of train)"),
        _ => {}
    }
    evaluation.notes.iter().for_each(|note| say!("note: {note}"));
    let level = 100.0 * evaluation.bootstrap.level;
    let (numbers, _) = published(&evaluation.benchmark);
    let of = |group: &str| {
        let numbers: Vec<String> = numbers
            .iter()
            .filter(|number| number.group == group)
            .map(|number| format!("{:.2}", number.percent))
            .collect();
        if numbers.is_empty() { "-".to_owned() } else { numbers.join(" / ") }
    };
    let header = |first: &str, items: &str| {
        say!(
            "\n{first:<18} {:>8} {:>20} {:>20} {:>12}   published",
            "score %",
            format!("{level:.0} % over images"),
            format!("over {items}"),
            "right"
        );
    };
    let line = |name: &str, estimate: &Estimate, right: Option<usize>, published: &str| {
        say!(
            "{name:<18} {:>8.2} {:>20} {:>20} {:>12}   {published}",
            100.0 * estimate.value,
            interval(estimate.by_image.as_ref()),
            interval(estimate.by_item.as_ref()),
            right.map_or_else(String::new, |right| format!("{right}/{}", estimate.items)),
        );
    };
    match &evaluation.scores {
        Scores::Vqa { scores, calibration, .. } => {
            header("", "questions");
            let parts = scores.groups().count() - scores.by_type.len();
            for (number, group) in scores.groups().enumerate() {
                if number == parts {
                    say!("by type of question");
                }
                let published = if number < parts { of(&group.name) } else { String::new() };
                line(&group.name, &group.score, Some(group.hits), &published);
            }
            say!(
                "\ncalibration: error {:.2} points; mean probability {:.2} %, mean score {:.2} %",
                100.0 * calibration.ece,
                100.0 * calibration.confidence,
                100.0 * calibration.accuracy
            );
        }
        Scores::Classification { scores } => {
            header("", "samples");
            line("accuracy", &scores.accuracy, Some(scores.hits), &of("overall"));
            line("macro-F1", &scores.macro_f1, None, "-");
        }
        Scores::Retrieval { scores } => {
            header("", "queries");
            for (name, direction) in
                [("image to text", &scores.image_to_text), ("text to image", &scores.text_to_image)]
            {
                for (at, recall) in RECALL_AT.into_iter().zip(&direction.recall) {
                    line(&format!("{name} R@{at}"), recall, None, "-");
                }
                say!("{name}: median rank {:.1} of {}", direction.median_rank.value, direction.candidates);
            }
        }
    }
}

fn interval(interval: Option<&Interval>) -> String {
    interval
        .map_or_else(|| "-".to_owned(), |Interval { low, high }| format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high))
}
