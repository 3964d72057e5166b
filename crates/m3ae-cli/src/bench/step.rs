//! `m3ae bench step | finetune | infer`: time and memory of one step, beside PyTorch's where it is at hand.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde::Serialize;

use super::peer::{Turn, ours, theirs};
use super::work::{self, Kind, Size};
use crate::backend::Backend;
use crate::output::{say, say_error};

/// Times real steps with random weights and inputs, in turns with the same work in PyTorch where `--peer` names one.
#[derive(Debug, clap::Args)]
pub struct StepArgs {
    /// Samples in a step: 4, and 1 for `infer`
    #[arg(long)]
    batch: Option<usize>,
    /// Image side in pixels: 288 for `step`, else 384
    #[arg(long)]
    image: Option<usize>,
    /// Tokens of each text: 64 for `step`, else 32
    #[arg(long)]
    text: Option<usize>,
    /// Steps of each turn, after one that warms up
    #[arg(long, default_value_t = 3)]
    steps: usize,
    /// Turns of each
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// A model of width 192 instead of the published one
    #[arg(long)]
    small: bool,
    /// bfloat16 products
    #[arg(long)]
    bf16: bool,
    /// A Python that has torch, to take turns with
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// The peer's program
    #[arg(long, value_name = "FILE", default_value = "../shared/tools/torch_peer.py")]
    peer_script: PathBuf,
    /// Write what was measured here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// One turn in this process, printed as JSON
    #[arg(long, hide = true)]
    alone: bool,
}

/// All turns of a measurement.
#[derive(Debug, Serialize)]
struct Measured {
    work: String,
    ours: Vec<Turn>,
    theirs: Vec<Turn>,
}

/// Measures and prints the table.
pub fn run(args: &StepArgs, kind: Kind, backend: Backend) -> Result<ExitCode> {
    let pretraining = kind == Kind::Pretrain;
    let size = Size {
        batch: args.batch.unwrap_or(if kind == Kind::Infer { 1 } else { 4 }),
        image: args.image.unwrap_or(if pretraining { 288 } else { 384 }),
        text: args.text.unwrap_or(if pretraining { 64 } else { 32 }),
        small: args.small,
        bf16: args.bf16,
    };
    if args.alone {
        let (seconds, parameters) = work::run(kind, size, args.steps, &backend.device()?)?;
        let turn = Turn { seconds, peak: crate::memory::peak(), parameters: parameters as f64 / 1e6 };
        say!("{}", serde_json::to_string(&turn)?);
        return Ok(ExitCode::SUCCESS);
    }
    let threads = std::thread::available_parallelism()?.get();
    let mut measured = Measured { work: describe(kind, size), ours: Vec::new(), theirs: Vec::new() };
    for round in 1..=args.rounds.max(1) {
        let mut command = Command::new(std::env::current_exe().context("this program's own path")?);
        command.args(std::env::args_os().skip(1)).arg("--alone");
        measured.ours.push(ours(command)?);
        if let Some(python) = &args.peer {
            measured.theirs.push(theirs(python, &args.peer_script, kind, size, args.steps, threads)?);
        }
        say_error!("turn {round} of {}", args.rounds.max(1));
    }
    say!("{}", table(&measured).trim_end());
    if args.peer.is_none() {
        say!("\nBeside PyTorch: --peer <python with torch>, in whose turn --peer-script does the same work.");
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&measured)?).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(kind: Kind, size: Size) -> String {
    let work = match kind {
        Kind::Pretrain => "pre-training step",
        Kind::Finetune => "fine-tuning step",
        Kind::Infer => "answers",
    };
    let model = if size.small { "small" } else { "base" };
    let precision = if size.bf16 { "bf16" } else { "f32" };
    format!("{work}, {model}, batch {}, {} pixels, {} tokens, {precision}", size.batch, size.image, size.text)
}

/// The middle of the sorted values, the mean of two where their number is even.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (count, middle) if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        (_, middle) => values[middle],
    }
}

/// Median seconds and peak memory of turns.
fn summary(turns: &[Turn]) -> (f64, f64) {
    let seconds = median(turns.iter().flat_map(|turn| turn.seconds.clone()).collect());
    let peak = turns.iter().filter_map(|turn| turn.peak).max().map_or(f64::NAN, |bytes| bytes as f64 / 1e9);
    (seconds, peak)
}

fn table(measured: &Measured) -> String {
    let mut text = format!("{}\n\n", measured.work);
    text.push_str("| | parameters | median s | fastest | slowest | peak GB |\n|---|---|---|---|---|---|\n");
    let rows = [("ours", &measured.ours), ("PyTorch", &measured.theirs)];
    for (name, turns) in rows.into_iter().filter(|(_, turns)| !turns.is_empty()) {
        let all: Vec<f64> = turns.iter().flat_map(|turn| turn.seconds.clone()).collect();
        let (fastest, slowest) =
            (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(0.0, f64::max));
        let (seconds, peak) = summary(turns);
        let parameters = turns.first().map_or(f64::NAN, |turn| turn.parameters);
        let _ =
            writeln!(text, "| {name} | {parameters:.1} M | {seconds:.3} | {fastest:.3} | {slowest:.3} | {peak:.2} |");
    }
    if !measured.theirs.is_empty() {
        let ((ours, our_peak), (theirs, their_peak)) = (summary(&measured.ours), summary(&measured.theirs));
        let _ = writeln!(text, "| ratio | | {:.2} | | | {:.2} |", ours / theirs, our_peak / their_peak);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn the_table_gives_the_ratio_of_medians() {
        let turn = |seconds: &[f64], peak| Turn { seconds: seconds.to_vec(), peak: Some(peak), parameters: 1.0 };
        let measured = Measured {
            work: "work".into(),
            ours: vec![turn(&[1.0, 2.0], 2_000_000_000), turn(&[3.0], 1_000_000_000)],
            theirs: vec![turn(&[4.0], 8_000_000_000)],
        };
        let table = table(&measured);
        assert!(table.contains("| ours | 1.0 M | 2.000 | 1.000 | 3.000 | 2.00 |"), "{table}");
        assert!(table.contains("| ratio | | 0.50 | | | 0.25 |"), "{table}");
    }
}
