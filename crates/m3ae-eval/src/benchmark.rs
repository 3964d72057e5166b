//! One table for several tasks over seeds, with published numbers beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::bootstrap::Estimate;
use crate::published::{Comparability, PublishedNumber, PublishedSource, comparability, published};
use crate::record::{Evaluation, Scores};
use crate::retrieval::RECALL_AT;

/// A finished evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The task, such as `vqa-rad` or `roco, zero-shot`; evaluations of the same task differ in their seed.
    pub task: String,
    /// The seed of the fine-tuning; `None` without fine-tuning.
    pub seed: Option<u64>,
    /// The result.
    pub evaluation: Evaluation,
    /// The folder of the result.
    pub folder: String,
    /// The keys of the task's recipe that were changed, as `key=value`.
    pub changes: Vec<String>,
}

/// A task or data set without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Without {
    /// Its name.
    pub what: String,
    /// The reason, and what to do about it.
    pub why: String,
}

/// The content of `benchmark.json`; `benchmark.md` shows the same as a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchmarkTable {
    /// The file's version; 1.
    pub version: u32,
    /// The pre-trained model.
    pub model: String,
    /// Hash of its weights.
    pub weights: String,
    /// Program, device and settings: names and values.
    pub environment: BTreeMap<String, String>,
    /// The number of fine-tuning seeds.
    pub seeds: u64,
    /// Whether every available task finished with every seed.
    pub complete: bool,
    /// A row per score.
    pub rows: Vec<BenchmarkRow>,
    /// The tasks that have not run yet.
    pub unfinished: Vec<String>,
    /// The tasks that failed.
    pub failed: Vec<Without>,
    /// The data sets that were not found.
    pub missing: Vec<Without>,
}

/// One score of a task over seeds, in `0..=1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchmarkRow {
    /// The task.
    pub task: String,
    /// The benchmark, as commands name it.
    pub benchmark: String,
    /// The name of the score: a group of questions, or a metric.
    pub score: String,
    /// Mean over seeds.
    pub mean: f64,
    /// Sample standard deviation over seeds (n - 1 in the denominator); `None` for a single seed.
    pub deviation: Option<f64>,
    /// The lowest and the highest score.
    pub range: [f64; 2],
    /// The score of each seed.
    pub runs: Vec<RunScore>,
    /// Published numbers of the same score, in percent.
    pub published: Vec<PublishedNumber>,
    /// Whether the results follow the published protocol; `None` for a benchmark without published numbers.
    pub comparability: Option<Comparability>,
}

/// The score of one seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunScore {
    /// The seed; `None` without fine-tuning.
    pub seed: Option<u64>,
    /// The score with its bootstrap intervals.
    pub score: Estimate,
    /// The evaluation's folder.
    pub folder: String,
}

/// The scores of an evaluation that the table shows, with their names.
fn scores(evaluation: &Evaluation) -> Vec<(String, Estimate)> {
    match &evaluation.scores {
        Scores::Vqa { scores, .. } => [Some(&scores.overall), scores.closed.as_ref(), scores.open.as_ref()]
            .into_iter()
            .flatten()
            .map(|group| (group.name.clone(), group.score))
            .collect(),
        Scores::Classification { scores } => {
            vec![("accuracy".to_owned(), scores.accuracy), ("macro-F1".to_owned(), scores.macro_f1)]
        }
        Scores::Retrieval { scores } => {
            [("image to text", &scores.image_to_text), ("text to image", &scores.text_to_image)]
                .into_iter()
                .flat_map(|(name, direction)| {
                    RECALL_AT
                        .into_iter()
                        .zip(direction.recall)
                        .map(move |(at, recall)| (format!("{name} R@{at}"), recall))
                })
                .collect()
        }
    }
}

/// The rows of all tasks, in the order in which the tasks first occur.
#[must_use]
pub fn benchmark_rows(finished: &[Finished]) -> Vec<BenchmarkRow> {
    let mut rows: Vec<BenchmarkRow> = Vec::new();
    let mut tasks: Vec<&str> = finished.iter().map(|done| done.task.as_str()).collect();
    let mut seen = BTreeSet::new();
    tasks.retain(|task| seen.insert(*task));
    for task in tasks {
        let mut of_task: Vec<&Finished> = finished.iter().filter(|done| done.task == task).collect();
        of_task.sort_by_key(|done| done.seed);
        let [first, ..] = of_task.as_slice() else { continue };
        for (name, _) in scores(&first.evaluation) {
            let run = |done: &&Finished| {
                let (_, score) = scores(&done.evaluation).into_iter().find(|(own, _)| *own == name)?;
                Some(RunScore { seed: done.seed, score, folder: done.folder.clone() })
            };
            rows.push(row(first, name.clone(), of_task.iter().filter_map(run).collect()));
        }
    }
    rows
}

fn row(of: &Finished, score: String, runs: Vec<RunScore>) -> BenchmarkRow {
    let benchmark = of.evaluation.benchmark.clone();
    // The published number of a classification is its accuracy.
    let group = if score == "accuracy" { "overall" } else { score.as_str() };
    let numbers = published(&benchmark).0.into_iter().filter(|number| number.group == group).collect();
    let mut comparability = comparability(&of.evaluation);
    if let (Some(found), [_, ..]) = (&mut comparability, of.changes.as_slice()) {
        found.same = false;
        found.differences.push(format!("Its recipe was changed: {}.", of.changes.join(", ")));
    }
    let values: Vec<f64> = runs.iter().map(|run| run.score.value).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    BenchmarkRow {
        task: of.task.clone(),
        benchmark,
        score,
        mean,
        deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        range: [
            values.iter().copied().fold(f64::INFINITY, f64::min),
            values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ],
        runs,
        published: numbers,
        comparability,
    }
}

impl BenchmarkTable {
    /// The table in Markdown, in percent, followed by notes on the protocols.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# Benchmark of {}\n\n", self.model);
        let state = if self.complete { "Complete." } else { "**Not complete**: see below." };
        let _ = writeln!(
            text,
            "{state} Scores are in percent, on the test split. Mean and standard deviation are over fine-tuning seeds; \
             each seed's score is followed by its 95 % bootstrap interval over images.\n"
        );
        let seeds: BTreeSet<u64> = self.rows.iter().flat_map(|row| &row.runs).filter_map(|run| run.seed).collect();
        let notes = self.notes();
        if self.rows.is_empty() {
            text += "There is no result yet.\n";
        } else {
            let of_seed = |seed: &u64| format!(" seed {seed} |");
            let columns: String = seeds.iter().map(of_seed).collect();
            let _ = writeln!(
                text,
                "| task | score | mean ± s.d. | lowest to highest |{columns} items, images | published | released \
                 checkpoints | same protocol? |"
            );
            let _ = writeln!(text, "|---|---|--:|--:|{}--:|--:|--:|---|", "--:|".repeat(seeds.len()));
            self.rows.iter().for_each(|row| text += &line(row, &seeds, &notes));
        }
        for (number, (benchmark, note)) in (1..).zip(&notes) {
            let _ = writeln!(text, "\n[{number}] {benchmark}: {note}");
        }
        if !self.unfinished.is_empty() {
            text += "\n## Not run yet\n\n";
            self.unfinished.iter().for_each(|what| text += &format!("- {what}\n"));
        }
        for (title, list) in [("Failed", &self.failed), ("Data sets not found", &self.missing)] {
            if !list.is_empty() {
                let _ = writeln!(text, "\n## {title}\n");
                list.iter().for_each(|Without { what, why }| text += &format!("- **{what}**: {}\n", escape(why)));
            }
        }
        text += "\n## Made with\n\n";
        let _ = writeln!(text, "- weights: {}\n- seeds: {}", self.weights, self.seeds);
        for (name, value) in &self.environment {
            let _ = writeln!(text, "- {}: {}", name.replace('_', " "), escape(value));
        }
        text
    }

    /// Notes on comparing with published numbers, one per benchmark in the order of the rows.
    fn notes(&self) -> Vec<(String, String)> {
        let mut notes: Vec<(String, String)> = Vec::new();
        for row in &self.rows {
            if notes.iter().any(|(benchmark, _)| *benchmark == row.benchmark) {
                continue;
            }
            if let (Some(comparability), (_, Some(protocol))) = (&row.comparability, published(&row.benchmark)) {
                let ours = match comparability.same {
                    true => "This result has the same vocabulary, splits and recipe.".to_owned(),
                    false => {
                        format!("This result follows another protocol. {}", comparability.differences.join(" "))
                    }
                };
                notes.push((row.benchmark.clone(), format!("published numbers: {protocol} {}", escape(&ours))));
            }
        }
        notes
    }
}

fn line(row: &BenchmarkRow, seeds: &BTreeSet<u64>, notes: &[(String, String)]) -> String {
    let percent = |share: f64| format!("{:.2}", 100.0 * share);
    let spread = row.deviation.map_or_else(String::new, |deviation| format!(" ± {}", percent(deviation)));
    let range = match row.deviation {
        Some(_) => format!("{} to {}", percent(row.range[0]), percent(row.range[1])),
        None => "-".to_owned(),
    };
    let with_interval = |run: &RunScore| {
        let interval =
            run.score.interval().map(|ends| format!(" ({:.1} to {:.1})", 100.0 * ends.low, 100.0 * ends.high));
        format!("{}{}", percent(run.score.value), interval.unwrap_or_default())
    };
    let mut cells = vec![escape(&row.task), escape(&row.score)];
    // Without seeds there is no column of its own for the interval.
    match row.runs.as_slice() {
        [run] if run.seed.is_none() => cells.push(with_interval(run)),
        _ => cells.push(format!("{}{spread}", percent(row.mean))),
    }
    cells.push(range);
    for seed in seeds {
        cells.push(row.runs.iter().find(|run| run.seed == Some(*seed)).map_or_else(|| "-".to_owned(), with_interval));
    }
    let first = row.runs.first().map(|run| run.score);
    cells.push(first.map_or_else(String::new, |score| format!("{}, {}", score.items, score.images)));
    for (source, decimals) in [(PublishedSource::Paper, 2), (PublishedSource::ReleasedCheckpoint, 1)] {
        let of = row.published.iter().filter(|number| number.source == source);
        let numbers: Vec<String> = of.map(|number| format!("{:.decimals$}", number.percent)).collect();
        cells.push(if numbers.is_empty() { "-".to_owned() } else { numbers.join(" / ") });
    }
    let note = notes.iter().position(|(benchmark, _)| *benchmark == row.benchmark);
    let note = note.map_or_else(String::new, |place| format!(" [{}]", place + 1));
    cells.push(match &row.comparability {
        Some(found) if !row.published.is_empty() => format!("{}{note}", if found.same { "yes" } else { "no" }),
        _ => "-".to_owned(),
    });
    format!("| {} |\n", cells.join(" | "))
}

/// Text that fits into a cell or a list item: bars escaped, line breaks removed.
fn escape(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::evaluation;
    use crate::{Bootstrap, ChosenOn, Protocol, ScoreMatrix, retrieval_scores};

    fn finished(task: &str, seed: Option<u64>, value: f64) -> Finished {
        let mut evaluation = evaluation();
        evaluation.protocol = Protocol::Published;
        if let Scores::Vqa { scores, .. } = &mut evaluation.scores {
            scores.overall.score.value = value;
        }
        Finished { task: task.into(), seed, evaluation, folder: format!("eval/{task}"), changes: Vec::new() }
    }

    fn table(finished: &[Finished]) -> BenchmarkTable {
        BenchmarkTable {
            version: 1,
            model: "runs/x".into(),
            weights: "abc".into(),
            environment: BTreeMap::from([("device".into(), "cpu".into())]),
            seeds: 3,
            complete: false,
            rows: benchmark_rows(finished),
            unfinished: vec!["slake, seed 2".into()],
            failed: vec![Without { what: "melinda, seed 0".into(), why: "no\n| luck".into() }],
            missing: vec![Without { what: "slake".into(), why: "get it".into() }],
        }
    }

    #[test]
    fn scores_are_averaged_over_seeds_with_their_deviation() {
        // In any order.
        let done =
            [finished("vqa-rad", Some(2), 0.3), finished("vqa-rad", Some(0), 0.1), finished("vqa-rad", Some(1), 0.2)];
        let rows = benchmark_rows(&done);
        let names: Vec<&str> = rows.iter().map(|row| row.score.as_str()).collect();
        assert_eq!(names, ["overall", "closed", "open"]);
        let overall = &rows[0];
        assert!((overall.mean - 0.2).abs() < 1e-12 && (overall.deviation.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!((overall.range, overall.runs[1].score.value), ([0.1, 0.3], 0.2));
        assert_eq!(overall.published.len(), 4);
        let single = benchmark_rows(&done[..1]);
        assert_eq!(single[0].deviation, None);
    }

    #[test]
    fn the_table_has_a_column_per_seed_published_numbers_and_a_note_on_their_protocol() {
        let mut done = vec![finished("vqa-rad", Some(0), 0.5), finished("vqa-rad", Some(1), 0.75)];
        done.iter_mut().for_each(|done| done.evaluation.chosen_on = ChosenOn::ScoredItems);
        let text = table(&done).markdown();
        assert!(text.contains("| seed 0 | seed 1 | items, images |"), "{text}");
        assert!(text.contains("| vqa-rad | overall | 62.50 ± 17.68 | 50.00 to 75.00 | 50.00 ("), "{text}");
        assert!(text.contains("| 77.01 | 77.4 / 76.9 / 76.7 | yes [1] |"), "{text}");
        assert!(text.contains("\n[1] vqa-rad: published numbers: 498 answers"), "{text}");
        for part in ["**Not complete**", "- slake, seed 2", "**melinda, seed 0**: no \\| luck", "**slake**: get it"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        done.iter_mut().for_each(|done| done.changes = vec!["train.epochs=1".into()]);
        let text = table(&done).markdown();
        assert!(text.contains("| no [1] |") && text.contains("Its recipe was changed: train.epochs=1."), "{text}");
    }

    #[test]
    fn retrieval_without_fine_tuning_has_no_seed_and_nothing_published() {
        let matrix = ScoreMatrix { scores: &[0.9, 0.1, 0.2, 0.8], images: 2, image_of_text: &[0, 1] };
        let quick = Bootstrap { resamples: 400, level: 0.95, seed: 0 };
        let scores = Scores::Retrieval { scores: retrieval_scores(&matrix, &quick).unwrap() };
        let evaluation = Evaluation::new("roco", "test", "m", Protocol::Published, quick, scores);
        let task = "roco, zero-shot".to_owned();
        let done = Finished { task, seed: None, evaluation, folder: "f".into(), changes: Vec::new() };
        let text = table(&[done, finished("phantom-vqa", Some(0), 0.5)]).markdown();
        let expected = "| roco, zero-shot | image to text R@1 | 100.00 (100.0 to 100.0) | - | - | 2, 2 | - | - | - |";
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.matches("| roco, zero-shot |").count(), 6);
    }

    #[test]
    fn nothing_makes_a_table_that_says_so() {
        assert!(table(&[]).markdown().contains("There is no result yet."));
        assert_eq!(serde_json::to_value(table(&[])).unwrap()["rows"], serde_json::json!([]));
    }
}
