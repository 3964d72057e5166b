//! Learning curves of runs beside those of the reference implementation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use m3ae_report::{LineChart, Series};
use serde_json::Value;

use crate::output::say;

/// Put the validation curves of question-answering runs beside the reference's: a table and a chart.
#[derive(Debug, clap::Args)]
pub struct CurveArgs {
    /// Run folders: one per seed
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The reference's curves: JSON files with a `history` of epochs, each with overall, closed and open in percent
    #[arg(long, required = true, num_args = 1..)]
    reference: Vec<PathBuf>,
    /// The chart, as SVG
    #[arg(long)]
    chart: Option<PathBuf>,
}

/// Our metric, the reference's, and its title.
const SCORES: [(&str, &str); 3] = [("vqa_score", "overall"), ("closed_score", "closed"), ("open_score", "open")];

/// Percent by epoch, for each of [`SCORES`].
type Curve = Vec<[f64; 3]>;

/// Prints the table, and draws the chart if wanted.
pub fn run(args: &CurveArgs) -> Result<ExitCode> {
    let ours: Vec<Curve> = args.runs.iter().map(|run| of_run(run)).collect::<Result<_>>()?;
    let theirs: Vec<Curve> = args.reference.iter().map(|file| of_reference(file)).collect::<Result<_>>()?;
    let epochs = ours[0].len();
    ensure!(epochs > 0, "{}: no validation after the first step yet", args.runs[0].display());
    for (curve, path) in ours.iter().zip(&args.runs).chain(theirs.iter().zip(&args.reference)) {
        ensure!(curve.len() == epochs, "{} has {} epochs, not {epochs}", path.display(), curve.len());
    }
    say!("| epoch | {} |", SCORES.map(|(_, name)| format!("{name}, ours | {name}, reference")).join(" | "));
    say!("|---|{}", "---|".repeat(6));
    for epoch in 0..epochs {
        let cells = [0, 1, 2].map(|score| {
            let of = |curves: &[Curve]| spread(&curves.iter().map(|curve| curve[epoch][score]).collect::<Vec<_>>());
            format!("{} | {}", of(&ours), of(&theirs))
        });
        say!("| {} | {} |", epoch + 1, cells.join(" | "));
    }
    say!("\nmean over seeds, and the seeds' range; seeds of ours: {}, of the reference: {}", ours.len(), theirs.len());
    if let Some(path) = &args.chart {
        let mut chart = LineChart::new("Test accuracy by epoch, percent").x_label("epoch").x_from_zero();
        for (name, curves) in [("ours", &ours), ("reference", &theirs)] {
            for (seed, curve) in curves.iter().enumerate() {
                let points = curve.iter().enumerate().map(|(i, scores)| ((i + 1) as f64, scores[0])).collect();
                chart = chart.series(Series::new(format!("{name} {}", seed + 1), points));
            }
        }
        fs::write(path, chart.draw().document()).with_context(|| path.display().to_string())?;
        say!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// `43.1 (41.2–44.9)`; a single value stands alone.
fn spread(values: &[f64]) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if let [only] = values {
        return format!("{only:.1}");
    }
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    format!("{mean:.1} ({low:.1}–{high:.1})")
}

fn of_run(run: &Path) -> Result<Curve> {
    let path = run.join("metrics.jsonl");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut curve = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| path.display().to_string())?;
        if line["event"] != "validation" || line["step"] == 0 {
            continue;
        }
        let of = |name: &str| line["metrics"][name].as_f64().map(|score| 100.0 * score);
        match SCORES.map(|(name, _)| of(name)) {
            [Some(overall), Some(closed), Some(open)] => curve.push([overall, closed, open]),
            _ => bail!("{}: a validation has no vqa_score, closed_score and open_score", path.display()),
        }
    }
    Ok(curve)
}

fn of_reference(path: &Path) -> Result<Curve> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let json: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let history = json["history"].as_array().with_context(|| format!("{}: it has no `history`", path.display()))?;
    let scores = |epoch: &Value| SCORES.map(|(_, name)| epoch[name].as_f64());
    history
        .iter()
        .map(|epoch| match scores(epoch) {
            [Some(overall), Some(closed), Some(open)] => Ok([overall, closed, open]),
            _ => bail!("{}: an epoch lacks overall, closed or open", path.display()),
        })
        .collect()
}
