//! `m3ae eval --compare a/eval.json b/eval.json`: do two models differ on the same questions?

use std::path::Path;

use anyhow::{Context, Result, ensure};
use m3ae_eval::{Bootstrap, Evaluation, Prediction, compare, read_evaluation, read_predictions};

/// Prints whether the difference can be told from chance, overall and by type of question.
pub fn run(a: &Path, b: &Path, bootstrap: &Bootstrap) -> Result<()> {
    let ((first, a), (second, b)) = (read(a)?, read(b)?);
    ensure!(
        (&first.benchmark, &first.split) == (&second.benchmark, &second.split),
        "A is of {} ({}), B of {} ({}): compare evaluations of the same questions",
        first.benchmark,
        first.split,
        second.benchmark,
        second.split
    );
    println!("{}, {} split\nA: {}\nB: {}", first.benchmark, first.split, first.model, second.model);
    if first.protocol != second.protocol {
        println!("note: A and B have vocabularies made in different ways");
    }
    for comparison in compare(&a, &b, bootstrap)? {
        println!("\n{}", comparison.sentence("A", "B"));
    }
    Ok(())
}

/// An evaluation, and the predictions beside it.
fn read(path: &Path) -> Result<(Evaluation, Vec<Prediction>)> {
    let predictions = path.with_file_name("predictions.jsonl");
    let evaluation = read_evaluation(path)?;
    let predictions =
        read_predictions(&predictions).with_context(|| format!("the predictions beside {}", path.display()))?;
    Ok((evaluation, predictions))
}
