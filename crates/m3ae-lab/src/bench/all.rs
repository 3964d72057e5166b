//! `m3ae-lab bench all`: the measurements of docs/performance.md's first tables, one after the other.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use m3ae_cli::backend::Backend;
use m3ae_cli::output::{chain, say, say_error};

use super::peer::PeerArgs;
use super::turns::{output, this_program};

/// Everything that stands beside PyTorch: step, finetune, infer (one question and eight), retrieval, data, load, one
/// after the other. Leaves all tables in all.md and the numbers in a JSON file of each, in --out.
#[derive(Debug, clap::Args)]
pub struct AllArgs {
    /// Little models and images, for a quick look
    #[arg(long)]
    small: bool,
    /// A folder with images for `data`; by default the synthetic set's
    #[arg(long, value_name = "FOLDER", conflicts_with = "small")]
    raw: Option<PathBuf>,
    /// Turns of each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Steps of each turn, after one that warms up
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    #[command(flatten)]
    peer: PeerArgs,
    /// Where the tables are left
    #[arg(long, value_name = "FOLDER", default_value = "runs/bench")]
    out: PathBuf,
}

/// What is measured beside what.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    /// Steps, beside those of --peer-script.
    Steps,
    /// Beside libraries of --peer.
    Libraries,
    /// One way beside another of this program.
    Itself,
}

/// Name of the results, command, and what is beside it.
const MEASUREMENTS: [(&str, &[&str], Beside); 7] = [
    ("step", &["step"], Beside::Steps),
    ("finetune", &["finetune"], Beside::Steps),
    ("infer", &["infer"], Beside::Steps),
    ("infer-8", &["infer", "--batch", "8"], Beside::Steps),
    ("retrieval", &["retrieval", "--images", "12", "--texts", "12", "--full-pairs", "12"], Beside::Itself),
    ("data", &["data"], Beside::Libraries),
    ("load", &["load"], Beside::Libraries),
];

/// Measures, printing and keeping each table as it is there; what fails does not keep the others from being measured.
pub fn run(args: &AllArgs, backend: Backend) -> Result<ExitCode> {
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let (mut tables, mut failed) = (String::new(), Vec::new());
    let path = args.out.join("all.md");
    for (name, command, beside) in MEASUREMENTS {
        say_error!("{name}");
        match output(&mut this_program(backend, arguments(args, name, command, beside))?) {
            Ok(table) => {
                let table = format!("## {name}\n\n{}\n", table.trim_end());
                say!("{table}");
                tables = tables + &table + "\n";
                m3ae_files::write(&path, tables.as_bytes())?;
            }
            Err(error) => {
                say_error!("error: {name}: {}", chain(&error));
                failed.push(name);
            }
        }
    }
    if !tables.is_empty() {
        say!("{}", path.display());
    }
    if !failed.is_empty() {
        bail!("not measured, for the reasons above: {}", failed.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn arguments(args: &AllArgs, name: &str, command: &[&str], beside: Beside) -> Vec<String> {
    let mut all: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let json = args.out.join(format!("{name}.json")).display().to_string();
    all.extend(["--rounds".into(), args.rounds.to_string(), "--json".into(), json]);
    if args.small {
        all.push("--small".into());
    }
    if beside == Beside::Steps {
        all.extend(["--steps".into(), args.steps.to_string()]);
    }
    if let (Some(raw), "data") = (&args.raw, name) {
        all.extend(["--raw".into(), raw.display().to_string()]);
    }
    if let Some(python) = args.peer.peer.as_ref().filter(|_| beside != Beside::Itself) {
        all.extend(["--peer".into(), python.display().to_string()]);
        if beside == Beside::Steps {
            all.extend(["--peer-script".into(), args.peer.peer_script.display().to_string()]);
        }
    }
    all
}
