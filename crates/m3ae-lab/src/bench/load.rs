//! `m3ae-lab bench load`: from a checkpoint's file to a model, beside PyTorch and beside reading the file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::prelude::Device;
use m3ae_cli::backend::Backend;
use m3ae_cli::memory;
use m3ae_cli::output::say;
use m3ae_model::M3aeConfig;
use m3ae_weights::{Checkpoint, Extras, export_folder, find_config, load, resolve};
use serde::Serialize;

use super::turns::{Side, Turn, TurnArgs, Work, alternate, this_program, turn_of, write_json};

/// The peer: `torch.load`, or crate safetensors' Python package.
const PEER: &str = include_str!("peers/load.py");
/// Of the buffer that a file is read through: 128 KiB, as `cat` has it.
const BUFFER: usize = 1 << 17;

/// Seconds from a file to a model, and the peak of memory against the parameters' own size; in turns with PyTorch where
/// `--peer` names it, and with reading the file through a small buffer, which is the least that loading can do. The
/// file is in the page cache.
#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// A model folder, a file (safetensors, .ckpt) or a name in the Hugging Face cache; by default a model of the
    /// published size is written to a temporary folder
    #[arg(long, value_name = "MODEL")]
    checkpoint: Option<String>,
    /// The little model instead of the published size
    #[arg(long, conflicts_with = "checkpoint")]
    small: bool,
    /// A Python that has torch (and safetensors), to take turns with
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    #[command(flatten)]
    turns: TurnArgs,
    /// One turn in this process, printed as JSON
    #[arg(long, hide = true, requires = "checkpoint")]
    alone: bool,
}

#[derive(Debug, Serialize)]
struct Measured<'a> {
    work: String,
    sides: &'a [Side<Turn>],
}

/// Measures and prints the table.
pub fn run(args: &LoadArgs, backend: Backend) -> Result<ExitCode> {
    let device = backend.device()?;
    let made = tempfile::tempdir()?;
    let path = match &args.checkpoint {
        Some(name) => resolve(name).with_context(|| format!("--checkpoint {name}"))?,
        None => write(&made.path().join("model"), args.small, &device)?,
    };
    if args.alone {
        say!("{}", serde_json::to_string(&open(&path, &device)?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let checkpoint = Checkpoint::open(&path)?;
    let (file, format) = (checkpoint.path().to_owned(), checkpoint.format());
    // Once for the page cache.
    read(&file)?;
    let ours = || turn_of(this_program(backend, ["load", "--alone", "--checkpoint"])?.arg(&path));
    let mut sides: Vec<(&str, Work<'_, Turn>)> = vec![("ours", Box::new(ours))];
    if let Some(python) = &args.peer {
        let file = &file;
        let theirs = move || turn_of(Command::new(python).args(["-c", PEER]).arg(file));
        sides.push(("PyTorch", Box::new(theirs)));
    }
    sides.push(("reading the file", Box::new(|| read(&file))));
    let sides = alternate(args.turns.rounds, sides)?;
    let size = file.metadata().with_context(|| file.display().to_string())?.len();
    let work = format!("{format} of {:.1} MB, {}", size as f64 / 1e6, backend.name());
    let measured = Measured { work, sides: &sides };
    say!("{}", table(&measured).trim_end());
    if args.peer.is_none() {
        say!("\nBeside PyTorch: --peer <python with torch and safetensors>");
    }
    write_json(args.turns.json.as_deref(), &device, &measured)?;
    Ok(ExitCode::SUCCESS)
}

/// A model folder with initial weights.
fn write(folder: &Path, small: bool, device: &Device) -> Result<PathBuf> {
    let config = if small { M3aeConfig::small() } else { M3aeConfig::base() };
    export_folder(&config.init(device)?, &config, &Extras::default(), folder)?;
    Ok(folder.to_owned())
}

/// From the file to a model.
fn open(path: &Path, device: &Device) -> Result<Turn> {
    let begun = Instant::now();
    let checkpoint = Checkpoint::open(path)?;
    let mut model = find_config(&checkpoint)?.init(device)?;
    load(&mut model, &checkpoint)?;
    device.sync().context("the device")?;
    let seconds = vec![begun.elapsed().as_secs_f64()];
    Ok(Turn { seconds, peak: memory::peak(), parameters: model.num_params() as f64 / 1e6 })
}

/// The file, once, through a small buffer.
fn read(path: &Path) -> Result<Turn> {
    let name = || path.display().to_string();
    let mut buffer = vec![0; BUFFER];
    let begun = Instant::now();
    let mut file = File::open(path).with_context(name)?;
    while file.read(&mut buffer).with_context(name)? > 0 {}
    Ok(Turn { seconds: vec![begun.elapsed().as_secs_f64()], peak: None, parameters: f64::NAN })
}

fn table(measured: &Measured<'_>) -> String {
    let mut text =
        format!("{}\n\n| | parameters | median s | times reading | peak GB | peak / parameters |\n", measured.work);
    text.push_str("|---|---|---|---|---|---|\n");
    let reading = measured.sides.last().map_or(f64::NAN, Side::seconds);
    for side in measured.sides {
        let (name, seconds) = (side.name, side.seconds());
        let (parameters, peak) = (side.parameters(), side.peak());
        let rest = match parameters.is_nan() {
            true => " | |".to_owned(),
            // Four bytes each.
            false => format!("{:.1} | {peak:.3} | {:.3} |", seconds / reading, peak * 1e3 / (4.0 * parameters)),
        };
        let millions = if parameters.is_nan() { String::new() } else { format!("{parameters:.1} M") };
        let _ = writeln!(text, "| {name} | {millions} | {seconds:.3} | {rest}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_set_against_four_bytes_a_parameter_and_time_against_reading() {
        let turn = |seconds, peak, parameters| Turn { seconds: vec![seconds], peak, parameters };
        let sides = [
            Side { name: "ours", turns: vec![turn(0.6, Some(1_500_000_000), 250.0)] },
            Side { name: "reading the file", turns: vec![turn(0.2, None, f64::NAN)] },
        ];
        let table = table(&Measured { work: "work".into(), sides: &sides });
        assert!(table.contains("| ours | 250.0 M | 0.600 | 3.0 | 1.500 | 1.500 |"), "{table}");
        assert!(table.contains("| reading the file |  | 0.200 |  | |"), "{table}");
    }
}
