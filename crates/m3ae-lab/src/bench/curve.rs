//! Learning curves of runs beside those of the reference implementation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use m3ae_cli::output::say;
use m3ae_report::{LineChart, Series};
use serde_json::Value;

/// Put the curves of question-answering runs beside the reference's, training loss and validation: a table and a chart.
#[derive(Debug, clap::Args)]
pub struct CurveArgs {
    /// Run folders: one per seed
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The reference's curves: JSON files with a `history` of epochs, each with loss, and overall, closed and open in
    /// percent
    #[arg(long, required = true, num_args = 1..)]
    reference: Vec<PathBuf>,
    /// The chart, as SVG
    #[arg(long)]
    chart: Option<PathBuf>,
}

/// Our metric, and the reference's.
const SCORES: [(&str, &str); 3] = [("vqa_score", "overall"), ("closed_score", "closed"), ("open_score", "open")];

/// By epoch: the mean training loss, then percent for each of [`SCORES`].
type Curve = Vec<[f64; 4]>;

/// The table's columns, and the digits that each is worth.
const COLUMNS: [(&str, usize); 4] = [("training loss", 2), ("overall", 1), ("closed", 1), ("open", 1)];

/// Prints the table, and draws the chart if wanted.
pub fn run(args: &CurveArgs) -> Result<ExitCode> {
    let ours: Vec<Curve> = args.runs.iter().map(|run| of_run(run)).collect::<Result<_>>()?;
    let theirs: Vec<Curve> = args.reference.iter().map(|file| of_reference(file)).collect::<Result<_>>()?;
    let epochs = ours[0].len();
    ensure!(epochs > 0, "{}: no validation after the first step yet", args.runs[0].display());
    for (curve, path) in ours.iter().zip(&args.runs).chain(theirs.iter().zip(&args.reference)) {
        ensure!(curve.len() == epochs, "{} has {} epochs, not {epochs}", path.display(), curve.len());
    }
    say!("| epoch | {} |", COLUMNS.map(|(name, _)| format!("{name}, ours | {name}, reference")).join(" | "));
    say!("|---|{}", "---|".repeat(2 * COLUMNS.len()));
    for epoch in 0..epochs {
        let cells = [0, 1, 2, 3].map(|column| {
            let values = |curves: &[Curve]| curves.iter().map(|curve| curve[epoch][column]).collect::<Vec<_>>();
            let of = |curves: &[Curve]| spread(&values(curves), COLUMNS[column].1);
            format!("{} | {}", of(&ours), of(&theirs))
        });
        say!("| {} | {} |", epoch + 1, cells.join(" | "));
    }
    say!("\nmean over seeds, and the seeds' range; seeds of ours: {}, of the reference: {}", ours.len(), theirs.len());
    if let Some(path) = &args.chart {
        let mut chart = LineChart::new("Test accuracy by epoch, percent").x_label("epoch").x_from_zero();
        for (name, curves) in [("ours", &ours), ("reference", &theirs)] {
            for (seed, curve) in curves.iter().enumerate() {
                let points = curve.iter().enumerate().map(|(i, scores)| ((i + 1) as f64, scores[1])).collect();
                chart = chart.series(Series::new(format!("{name} {}", seed + 1), points));
            }
        }
        m3ae_files::write(path, chart.draw().document().as_bytes())?;
        say!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// `43.1 (41.2–44.9)`; values that are equal in the digits shown stand alone.
fn spread(values: &[f64], digits: usize) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    let [mean, low, high] = [mean, low, high].map(|value| format!("{value:.digits$}"));
    if low == high { mean } else { format!("{mean} ({low}–{high})") }
}

/// Validations after the first step, each with the mean of the training losses since the one before. (Lines of training
/// cover equal numbers of steps where `log.every` divides an epoch's.)
fn of_run(run: &Path) -> Result<Curve> {
    let path = run.join("metrics.jsonl");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (mut curve, mut losses) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| path.display().to_string())?;
        let of = |name: &str| line["metrics"][name].as_f64();
        if line["event"] == "train" {
            losses.extend(of("vqa_loss"));
        }
        if line["event"] != "validation" || line["step"] == 0 {
            continue;
        }
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        losses.clear();
        match SCORES.map(|(name, _)| of(name)) {
            [Some(overall), Some(closed), Some(open)] => {
                curve.push([loss, 100.0 * overall, 100.0 * closed, 100.0 * open]);
            }
            _ => bail!("{}: a validation has no vqa_score, closed_score and open_score", path.display()),
        }
    }
    Ok(curve)
}

fn of_reference(path: &Path) -> Result<Curve> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let json: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let history = json["history"].as_array().with_context(|| format!("{}: it has no `history`", path.display()))?;
    let columns = |epoch: &Value| ["loss", "overall", "closed", "open"].map(|name| epoch[name].as_f64());
    history
        .iter()
        .map(|epoch| match columns(epoch) {
            [Some(loss), Some(overall), Some(closed), Some(open)] => Ok([loss, overall, closed, open]),
            _ => bail!("{}: an epoch lacks loss, overall, closed or open", path.display()),
        })
        .collect()
}
