//! What an evaluation prints and leaves behind.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use m3ae_eval::{
    Case, Estimate, Evaluation, Interval, Prediction, Protocol, Scores, eval_report, published, write_evaluation,
    write_predictions,
};
use m3ae_report::write_atomic;
use safetensors::tensor::{Dtype, TensorView};

/// Prints the table of scores with what a reader must know.
pub fn print(evaluation: &Evaluation) {
    println!("\n{}, {} split", evaluation.benchmark, evaluation.split);
    if evaluation.validation_equals_test {
        println!("VALIDATION EQUALS TEST: the checkpoint was chosen on what is scored here; the scores are too high.");
    }
    match evaluation.protocol {
        Protocol::Published => println!("protocol: published (vocabulary of all splits)"),
        Protocol::Clean => println!("protocol: clean (vocabulary of train)"),
    }
    evaluation.notes.iter().for_each(|note| println!("note: {note}"));
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
    if let Scores::Vqa { scores, calibration, .. } = &evaluation.scores {
        println!(
            "\n{:<14} {:>8} {:>20} {:>20} {:>12}   published",
            "",
            "score %",
            format!("{level:.0} % over images"),
            "over questions",
            "right"
        );
        for group in scores.groups() {
            let Estimate { value, items, by_image, by_item, .. } = &group.score;
            println!(
                "{:<14} {:>8.2} {:>20} {:>20} {:>12}   {}",
                group.name,
                100.0 * value,
                interval(by_image.as_ref()),
                interval(by_item.as_ref()),
                format!("{}/{items}", group.hits),
                of(&group.name)
            );
        }
        println!(
            "\ncalibration: error {:.2} points; mean probability {:.2} %, mean score {:.2} %",
            100.0 * calibration.ece,
            100.0 * calibration.confidence,
            100.0 * calibration.accuracy
        );
    }
}

fn interval(interval: Option<&Interval>) -> String {
    interval
        .map_or_else(|| "-".to_owned(), |Interval { low, high }| format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high))
}

/// Writes everything, each file whole or not at all: nothing is there before all of it is computed.
pub fn all(
    out: &Path,
    evaluation: &Evaluation,
    predictions: &[Prediction],
    cases: &[Case],
    logits: Option<(&[Vec<f32>], &[String])>,
) -> Result<()> {
    let page = eval_report(evaluation, cases)?;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    if let Some((logits, answers)) = logits {
        let metadata = [("answers".to_owned(), serde_json::to_string(answers)?)].into();
        save_matrix(&out.join("logits.safetensors"), "logits", logits, metadata)?;
    }
    write_predictions(&out.join("predictions.jsonl"), predictions)?;
    page.write_atomic(&out.join("report.html"))?;
    // Last: whoever finds it finds the others.
    write_evaluation(&out.join("eval.json"), evaluation)?;
    Ok(())
}

/// Writes rows of equal length as one float32 matrix.
pub fn save_matrix(path: &Path, name: &str, rows: &[Vec<f32>], metadata: HashMap<String, String>) -> Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let bytes: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![rows.len(), columns], &bytes)?;
    let file = safetensors::serialize([(name, view)], Some(metadata))?;
    Ok(write_atomic(path, &file)?)
}
