//! `m3ae eval --compare a/eval.json b/eval.json`: do two models differ on the same questions?

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use m3ae_eval::{
    Bootstrap, Evaluation, Prediction, Scores, compare, compare_report, read_evaluation, read_predictions,
};
use m3ae_report::write_atomic;

/// Prints whether the difference can be told from chance, overall and by type of question; writes the page.
pub fn run(a: &Path, b: &Path, out: Option<&Path>, bootstrap: &Bootstrap) -> Result<()> {
    let out = out.map_or_else(|| default_folder(a, b), Path::to_owned);
    let ((first, a), (second, b)) = (read(a)?, read(b)?);
    ensure!(
        (&first.benchmark, &first.split) == (&second.benchmark, &second.split),
        "A is of {} ({}), B of {} ({}): compare evaluations of the same questions",
        first.benchmark,
        first.split,
        second.benchmark,
        second.split
    );
    let found = compare(&a, &b, bootstrap)?;
    let page = compare_report((&first, &a), (&second, &b), &found, bootstrap.seed)?;
    println!("{}, {} split\nA: {}\nB: {}", first.benchmark, first.split, first.model, second.model);
    if first.protocol != second.protocol {
        println!("note: A and B have vocabularies made in different ways");
    }
    for comparison in &found {
        println!("\n{}", comparison.sentence("A", "B"));
    }
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let record = serde_json::json!({
        "version": 1,
        "benchmark": first.benchmark,
        "split": first.split,
        "a": first.model,
        "b": second.model,
        "bootstrap": bootstrap,
        "comparisons": found,
    });
    let page_path = out.join("compare.html");
    page.write_atomic(&page_path)?;
    write_atomic(&out.join("compare.json"), &serde_json::to_vec_pretty(&record)?)?;
    println!("\npage: {}", page_path.display());
    Ok(())
}

/// `runs/eval/<A's folder>-against-<B's>`.
fn default_folder(a: &Path, b: &Path) -> PathBuf {
    let name = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        folder.unwrap_or_else(|| "evaluation".to_owned())
    };
    Path::new("runs/eval").join(format!("{}-against-{}", name(a), name(b)))
}

/// An evaluation, and the predictions beside it.
fn read(path: &Path) -> Result<(Evaluation, Vec<Prediction>)> {
    let evaluation = read_evaluation(path)?;
    if let Scores::Retrieval { .. } = evaluation.scores {
        bail!(
            "{}: an evaluation of retrieval, which has no answers to compare; its recalls and their intervals are in the file",
            path.display()
        );
    }
    let predictions = path.with_file_name("predictions.jsonl");
    let predictions =
        read_predictions(&predictions).with_context(|| format!("the predictions beside {}", path.display()))?;
    Ok((evaluation, predictions))
}
