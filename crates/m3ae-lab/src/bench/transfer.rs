//! Does pre-training help? Question answering on the synthetic set, from a pre-trained model and from random weights,
//! with the same fine-tuning, over several seeds.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use m3ae_cli::backend::Backend;
use m3ae_cli::output::say;
use m3ae_cli::training::{FINETUNE_PHANTOM, INTERRUPTED, QUICKSTART, Stop, perform};
use m3ae_train::{Metrics, RunConfig};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Pre-train and fine-tune on synthetic data against fine-tuning alone: same data, same budget, several seeds.
#[derive(Debug, clap::Args)]
pub struct TransferArgs {
    /// Number of seeds
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first of them: several processes can share the seeds, and a last one that has them all finds them finished
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first_seed: u64,
    /// Where the runs are kept; finished ones are used again, unfinished ones go on
    #[arg(long, default_value = "runs/transfer")]
    out: PathBuf,
    /// Change a key of both fine-tuning recipes (can be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Change a key of the pre-training recipe (can be repeated)
    #[arg(long = "set-pretraining", value_name = "KEY=VALUE")]
    pretraining_overrides: Vec<String>,
}

/// What both have: patches of 16 pixels instead of 8, with which a sample costs less.
const SET: [&str; 1] = ["model.vision.patch_size=16"];

/// What pre-training needs beyond the quickstart's minutes until captions are guessed from the image, not from their
/// grammar alone: more samples, a smaller rate (with 1e-3 and more the fusion never begins to look), and more of the
/// words hidden (docs/results.md).
const PRETRAINING: [&str; 7] = [
    "train.batch_size=16",
    "train.steps=5000",
    "train.learning_rate=3e-4",
    "train.lr_multiplier_head=3",
    "train.lr_multiplier_multi_modal=1",
    "masking.text_probability=0.4",
    "log.validate_every=1000",
];
/// 1500 updates on 400 labelled images: random weights have begun to look at the image by then, and go on gaining.
const FINE_TUNING: [&str; 1] = ["train.epochs=10"];

/// What is compared, by the names of the test's metrics.
const SCORES: [(&str, &str); 3] = [("vqa_score", "all"), ("closed_score", "closed"), ("open_score", "open")];

/// Test scores of one seed.
#[derive(Debug, Serialize)]
struct Pair {
    seed: u64,
    pretrained: Metrics,
    scratch: Metrics,
}

/// Runs what is missing and prints the table.
pub fn run(args: &TransferArgs, backend: Backend) -> Result<ExitCode> {
    ensure!(args.seeds > 0, "--seeds 0: choose 1 or more");
    let stop = Stop::on_signal()?;
    let mut pairs = Vec::new();
    for seed in (args.first_seed..).take(args.seeds as usize) {
        let own = |name: &str| {
            let out = toml::Value::from(args.out.display().to_string());
            vec![format!("run.name={name}-{seed}"), format!("run.directory={out}"), format!("run.seed={seed}")]
        };
        let config = |(origin, text): (&str, &str), name: &str, more: &[String]| {
            RunConfig::parse(text, origin, &[&own(name)[..], more].concat())
        };
        let with = |ours: &[&str], more: &[String]| {
            ours.iter().map(|&text| text.to_owned()).chain(more.iter().cloned()).collect::<Vec<String>>()
        };
        let pretraining =
            config(QUICKSTART, "pretraining", &with(&[&SET[..], &PRETRAINING].concat(), &args.pretraining_overrides))?;
        if perform(&pretraining, backend, &stop)?.is_none() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        let model = toml::Value::from(pretraining.folder().join("model").display().to_string());
        let tune = |name: &str, checkpoint: String| -> Result<Option<Metrics>> {
            let mut more = vec![format!("init.checkpoint={checkpoint}")];
            more.extend(with(&[&SET[..], &FINE_TUNING].concat(), &args.overrides));
            let Some(summary) = perform(&config(FINETUNE_PHANTOM, name, &more)?, backend, &stop)? else {
                return Ok(None);
            };
            summary.test.map(Some).context("the recipe has no test split")
        };
        let pretrained = tune("pretrained", model.to_string())?;
        let scratch = if pretrained.is_some() { tune("scratch", "\"\"".into())? } else { None };
        let (Some(pretrained), Some(scratch)) = (pretrained, scratch) else {
            return Ok(ExitCode::from(INTERRUPTED));
        };
        pairs.push(Pair { seed, pretrained, scratch });
    }
    let table = table(&pairs);
    m3ae_files::write(&args.out.join("transfer.md"), table.as_bytes())?;
    m3ae_files::write(&args.out.join("transfer.json"), &serde_json::to_vec_pretty(&pairs)?)?;
    say!("\n{table}");
    say!("{}", args.out.join("transfer.json").display());
    Ok(ExitCode::SUCCESS)
}

/// A Markdown table in percent: each seed, then means with 95 % intervals over seeds.
fn table(pairs: &[Pair]) -> String {
    let mut text =
        String::from("| test questions | seed | pre-trained | from scratch | difference |\n|---|---|---|---|---|\n");
    for (name, title) in SCORES {
        let percent = |metrics: &Metrics| metrics.get(name).map(|score| 100.0 * score);
        let scores: Vec<(u64, f64, f64)> = pairs
            .iter()
            .filter_map(|pair| Some((pair.seed, percent(&pair.pretrained)?, percent(&pair.scratch)?)))
            .collect();
        for (seed, pretrained, scratch) in &scores {
            let _ =
                writeln!(text, "| {title} | {seed} | {pretrained:.1} | {scratch:.1} | {:+.1} |", pretrained - scratch);
        }
        let column = |of: fn(&(u64, f64, f64)) -> f64| interval(&scores.iter().map(of).collect::<Vec<_>>());
        let (a, b, difference) = (column(|s| s.1), column(|s| s.2), column(|s| s.1 - s.2));
        let _ = writeln!(text, "| {title} | mean | {a} | {b} | {difference} |");
    }
    text
}

/// `mean ± half-width` of Student's 95 % confidence interval; a single value has none.
fn interval(values: &[f64]) -> String {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    // No distribution without degrees of freedom: fewer than two values.
    match StudentsT::new(0.0, 1.0, count - 1.0) {
        _ if values.is_empty() => "-".to_owned(),
        // Two-sided: 2.5 % on either side.
        Ok(t) => format!("{mean:.1} ± {:.1}", t.inverse_cdf(0.975) * (variance / count).sqrt()),
        Err(_) => format!("{mean:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_students() {
        // By hand: mean 2, variance 1, 4.303 / sqrt(3).
        assert_eq!(interval(&[1.0, 2.0, 3.0]), "2.0 ± 2.5");
        // Eleven values, ten degrees of freedom: mean 500, variance 110 000, 2.228 * sqrt(10 000).
        let eleven: Vec<f64> = (0..11).map(|number| 100.0 * f64::from(number)).collect();
        assert_eq!(interval(&eleven), "500.0 ± 222.8");
        assert_eq!(interval(&[4.25]), "4.2");
        assert_eq!(interval(&[]), "-");
    }

    #[test]
    fn the_table_has_each_seed_and_the_means() {
        let metrics = |score: f64| serde_json::from_str(&format!(r#"{{"vqa_score": {score}}}"#)).unwrap();
        let pairs = [
            Pair { seed: 0, pretrained: metrics(0.5), scratch: metrics(0.25) },
            Pair { seed: 1, pretrained: metrics(0.5), scratch: metrics(0.25) },
        ];
        let table = table(&pairs);
        assert!(table.contains("| all | 1 | 50.0 | 25.0 | +25.0 |"), "{table}");
        assert!(table.contains("| all | mean | 50.0 ± 0.0 | 25.0 ± 0.0 | 25.0 ± 0.0 |"), "{table}");
    }
}
