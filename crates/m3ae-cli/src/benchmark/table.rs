//! The benchmark's table.

use std::fmt::Write as _;

use m3ae_eval::{Estimate, Evaluation, Protocol, RECALL_AT, Scores, published};

use super::Row;

/// Markdown: scores in percent, mean over seeds, their range, the interval of one seed, and the published numbers.
pub fn markdown(model: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "# Benchmark of {model}\n\nTest splits, in percent. The interval is the 95 % bootstrap over images of the first seed.\n\n"
    );
    text.push_str("| task | score | seeds | mean | lowest to highest | interval | published | protocol |\n|---|---|---|---|---|---|---|---|\n");
    for row in rows {
        for (score, of_first) in row.evaluations.first().map(scores).unwrap_or_default() {
            let values: Vec<f64> = row
                .evaluations
                .iter()
                .filter_map(|evaluation| scores(evaluation).into_iter().find(|(name, _)| *name == score))
                .map(|(_, estimate)| 100.0 * estimate.value)
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let (low, high) = values
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
            let interval = of_first.by_image.as_ref().map_or_else(
                || "-".to_owned(),
                |interval| format!("{:.1} to {:.1}", 100.0 * interval.low, 100.0 * interval.high),
            );
            let numbers: Vec<String> = published(row.task)
                .0
                .iter()
                .filter(|number| number.group == score || (score == "accuracy" && number.group == "overall"))
                .map(|number| format!("{:.2}", number.percent))
                .collect();
            let numbers = if numbers.is_empty() { "-".to_owned() } else { numbers.join(" / ") };
            let _ = writeln!(
                text,
                "| {} | {score} | {} | {mean:.1} | {low:.1} to {high:.1} | {interval} | {numbers} | {} |",
                row.task,
                values.len(),
                protocol(row)
            );
        }
    }
    for row in rows {
        if let Some(missing) = &row.missing {
            let _ = writeln!(text, "\nNot run: {}, {missing}.", row.task);
        } else if let (_, Some(note)) = published(row.task) {
            let _ = writeln!(text, "\n{}, as published: {note}", row.task);
        }
    }
    text
}

fn protocol(row: &Row) -> &'static str {
    match row.evaluations.first() {
        Some(evaluation) if evaluation.validation_equals_test => "validation equals test",
        Some(Evaluation { scores: Scores::Vqa { .. }, protocol: Protocol::Published, .. }) => {
            "vocabulary of all splits"
        }
        Some(Evaluation { scores: Scores::Vqa { .. }, protocol: Protocol::Clean, .. }) => "vocabulary of train",
        _ => "-",
    }
}

/// What a task is judged by.
fn scores(evaluation: &Evaluation) -> Vec<(String, Estimate)> {
    match &evaluation.scores {
        Scores::Vqa { scores, .. } => {
            let main = [Some(&scores.overall), scores.closed.as_ref(), scores.open.as_ref()];
            main.into_iter().flatten().map(|group| (group.name.clone(), group.score)).collect()
        }
        Scores::Classification { scores } => {
            vec![("accuracy".into(), scores.accuracy), ("macro-F1".into(), scores.macro_f1)]
        }
        Scores::Retrieval { scores } => {
            let directions = [("image to text", &scores.image_to_text), ("text to image", &scores.text_to_image)];
            let recalls = directions.into_iter().flat_map(|(name, direction)| {
                RECALL_AT
                    .into_iter()
                    .zip(&direction.recall)
                    .map(move |(at, recall)| (format!("{name} R@{at}"), *recall))
            });
            recalls.collect()
        }
    }
}
