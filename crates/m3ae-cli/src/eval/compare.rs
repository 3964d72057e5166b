//! `m3ae eval --compare a/eval.json b/eval.json`: compares two models on the same questions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use m3ae_eval::{
    Bootstrap, Comparison, Evaluation, Prediction, Scores, Side, compare, compare_report, read_evaluation,
    read_predictions,
};

use crate::output::say;

/// Groups that are not question types.
const PARTS: [&str; 3] = ["overall", "closed", "open"];

/// Writes the page, then prints whether the difference is significant, overall and by question type.
pub fn run(a: &Path, b: &Path, out: Option<&Path>, bootstrap: &Bootstrap) -> Result<()> {
    let out = out.map_or_else(|| default_folder(a, b), Path::to_owned);
    let places = [a, b];
    let ((first, a), (second, b)) = (read(a)?, read(b)?);
    ensure!(
        (&first.benchmark, &first.split) == (&second.benchmark, &second.split),
        "A evaluates {} ({}), B {} ({}): compare evaluations of the same questions",
        first.benchmark,
        first.split,
        second.benchmark,
        second.split
    );
    let found = compare(&a, &b, bootstrap)?;
    let [first_place, second_place] = places.map(|path| path.parent().unwrap_or(path).display().to_string());
    let page = compare_report(
        Side { evaluation: &first, predictions: &a, place: &first_place },
        Side { evaluation: &second, predictions: &b, place: &second_place },
        &found,
        bootstrap.seed,
    )?;
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
    page.write(&page_path)?;
    m3ae_files::write(&out.join("compare.json"), &serde_json::to_vec_pretty(&record)?)?;
    say!("{}, {} split\nA: {}\nB: {}", first.benchmark, first.split, first.model, second.model);
    if first.protocol != second.protocol {
        say!("note: A and B have different answer vocabularies");
    }
    let (whole, by_type): (Vec<_>, Vec<_>) = found.iter().partition(|of| PARTS.contains(&of.group.as_str()));
    for comparison in whole {
        say!("\n{}", comparison.sentence("A", "B"));
    }
    print_types(&by_type);
    say!("\npage: {}", page_path.display());
    Ok(())
}

/// A line for each type of question.
fn print_types(found: &[&Comparison]) {
    let Some(first) = found.first() else { return };
    let level = format!("{:.0} % over images", 100.0 * first.level);
    say!("\n{:<18} {:>7} {:>7} {:>8} {level:>18} {:>8}   significant?", "by type", "A %", "B %", "B - A", "number");
    for of in found {
        let difference = &of.difference;
        let ends = difference.interval().map(|ends| format!("{:+.1} to {:+.1}", 100.0 * ends.low, 100.0 * ends.high));
        let verdict = match (of.distinguishable(), difference.value > 0.0) {
            (false, _) => "no",
            (true, true) => "B is better",
            (true, false) => "A is better",
        };
        say!(
            "{:<18} {:>7.2} {:>7.2} {:>+8.2} {:>18} {:>8}   {verdict}",
            of.group,
            100.0 * of.a,
            100.0 * of.b,
            100.0 * difference.value,
            ends.unwrap_or_else(|| "-".to_owned()),
            difference.items
        );
    }
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
            "{}: a retrieval evaluation has no answers to compare; the file has its recalls and their intervals",
            path.display()
        );
    }
    let predictions = path.with_file_name("predictions.jsonl");
    let predictions =
        read_predictions(&predictions).with_context(|| format!("the predictions beside {}", path.display()))?;
    Ok((evaluation, predictions))
}
