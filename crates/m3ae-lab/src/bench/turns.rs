//! The sides of a comparison, the turns that they take, and the table of what was measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use burn::prelude::Device;
use m3ae_cli::backend::Backend;
use m3ae_cli::environment;
use m3ae_cli::output::say_error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How often each side has its turn, and where the numbers go.
#[derive(Debug, Clone, clap::Args)]
pub struct TurnArgs {
    /// Turns of each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Write what was measured here too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What one turn measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Seconds of each step after the first.
    pub seconds: Vec<f64>,
    /// Peak memory in bytes.
    pub peak: Option<u64>,
    /// In millions.
    pub parameters: f64,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side<T> {
    pub name: &'static str,
    pub turns: Vec<T>,
}

/// What a side does in its turn.
pub type Work<'a, T> = Box<dyn FnMut() -> Result<T> + 'a>;

/// `rounds` turns of each side, one after the other: A B A B.
pub fn alternate<T>(rounds: u32, sides: Vec<(&'static str, Work<'_, T>)>) -> Result<Vec<Side<T>>> {
    let (names, mut works): (Vec<&'static str>, Vec<Work<'_, T>>) = sides.into_iter().unzip();
    let mut measured: Vec<Side<T>> = names.into_iter().map(|name| Side { name, turns: Vec::new() }).collect();
    for round in 1..=rounds {
        for (side, work) in measured.iter_mut().zip(&mut works) {
            side.turns.push(work().with_context(|| side.name)?);
        }
        say_error!("turn {round} of {rounds}");
    }
    Ok(measured)
}

/// A command's standard output, after it succeeded.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {name}"))?;
    ensure!(output.status.success(), "{name} ended with {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed what is not UTF-8"))
}

/// What a command's turn printed, as JSON.
pub fn turn_of<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let text = output(command)?;
    serde_json::from_str(text.trim()).with_context(|| format!("a turn printed {text:?}"))
}

/// This program again, alone with its memory: `m3ae-lab --backend <name> bench <args>`.
pub fn this_program<S: AsRef<std::ffi::OsStr>>(backend: Backend, args: impl IntoIterator<Item = S>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this program's own path")?);
    command.args(["--backend", backend.name(), "bench"]).args(args);
    Ok(command)
}

/// Writes what was measured as JSON, with what it was measured on.
pub fn write_json(path: Option<&Path>, device: &Device, measured: &impl Serialize) -> Result<()> {
    #[derive(Serialize)]
    struct Record<'a, T> {
        environment: BTreeMap<&'static str, String>,
        #[serde(flatten)]
        measured: &'a T,
    }
    let Some(path) = path else { return Ok(()) };
    let record = Record { environment: environment::facts(std::slice::from_ref(device)), measured };
    m3ae_files::write(path, &serde_json::to_vec_pretty(&record)?)?;
    Ok(())
}

/// The middle of the sorted values, the mean of two where their number is even.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (count, middle) if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        (_, middle) => values[middle],
    }
}

impl Side<Turn> {
    fn all(&self) -> Vec<f64> {
        self.turns.iter().flat_map(|turn| turn.seconds.iter().copied()).collect()
    }

    /// Median seconds of all steps of all turns.
    pub fn seconds(&self) -> f64 {
        median(self.all())
    }

    /// Peak memory in 10⁹ bytes; not a number where it is unknown.
    pub fn peak(&self) -> f64 {
        self.turns.iter().filter_map(|turn| turn.peak).max().map_or(f64::NAN, |bytes| bytes as f64 / 1e9)
    }

    /// In millions.
    pub fn parameters(&self) -> f64 {
        self.turns.first().map_or(f64::NAN, |turn| turn.parameters)
    }
}

/// A Markdown table of the sides, and of the first over each other.
pub fn table(work: &str, sides: &[Side<Turn>]) -> String {
    let mut text = format!("{work}\n\n");
    text.push_str("| | parameters | median s | fastest | slowest | peak GB |\n|---|---|---|---|---|---|\n");
    for side in sides {
        let all = side.all();
        let fastest = all.iter().copied().fold(f64::INFINITY, f64::min);
        let slowest = all.iter().copied().fold(0.0, f64::max);
        let (name, parameters, seconds, peak) = (side.name, side.parameters(), side.seconds(), side.peak());
        let _ =
            writeln!(text, "| {name} | {parameters:.1} M | {seconds:.3} | {fastest:.3} | {slowest:.3} | {peak:.2} |");
    }
    if let [first, others @ ..] = sides {
        for other in others {
            let (seconds, peak) = (first.seconds() / other.seconds(), first.peak() / other.peak());
            let _ = writeln!(text, "| ratio to {} | | {seconds:.2} | | | {peak:.2} |", other.name);
        }
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
        let sides = [
            Side { name: "ours", turns: vec![turn(&[1.0, 2.0], 2_000_000_000), turn(&[3.0], 1_000_000_000)] },
            Side { name: "PyTorch", turns: vec![turn(&[4.0], 8_000_000_000)] },
        ];
        let table = table("work", &sides);
        assert!(table.contains("| ours | 1.0 M | 2.000 | 1.000 | 3.000 | 2.00 |"), "{table}");
        assert!(table.contains("| ratio to PyTorch | | 0.50 | | | 0.25 |"), "{table}");
    }

    #[test]
    fn sides_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let side = |name: &'static str| -> (&'static str, Work<'_, usize>) {
            let order = &order;
            (
                name,
                Box::new(move || {
                    order.borrow_mut().push_str(name);
                    Ok(order.borrow().len())
                }),
            )
        };
        let sides = alternate(2, vec![side("a"), side("b")]).unwrap();
        assert_eq!(order.borrow().as_str(), "abab");
        assert_eq!(sides[1].turns, [2, 4]);
    }
}
