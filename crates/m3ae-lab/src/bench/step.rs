//! `m3ae-lab bench step | finetune | infer`: time and memory of one step, beside PyTorch's where it is at hand.
//! `m3ae-lab bench sharing`: what shared encodings save of a pre-training step.

use std::process::ExitCode;

use anyhow::Result;
use m3ae_cli::backend::Backend;
use m3ae_cli::memory;
use m3ae_cli::output::say;
use serde::Serialize;

use super::peer::PeerArgs;
use super::turns::{Side, Turn, TurnArgs, Work, alternate, table, this_program, turn_of, write_json};
use super::work::{self, Kind, Size};

/// Sizes of a step.
#[derive(Debug, Clone, clap::Args)]
pub struct SizeArgs {
    /// Samples in a step: 4, and 1 for `infer`
    #[arg(long)]
    batch: Option<usize>,
    /// Image side in pixels: 288 for pre-training, else 384
    #[arg(long)]
    image: Option<usize>,
    /// Tokens of each text: 64 for pre-training, else 32
    #[arg(long)]
    text: Option<usize>,
    /// A model of width 192 instead of the published one
    #[arg(long)]
    small: bool,
    /// bfloat16 products
    #[arg(long)]
    bf16: bool,
    /// Steps of each turn, after one that warms up
    #[arg(long, default_value_t = 3)]
    pub steps: usize,
}

impl SizeArgs {
    /// The sizes, with each kind of work's own where none is given.
    pub fn size(&self, kind: Kind) -> Size {
        Size {
            batch: self.batch.unwrap_or(if kind == Kind::Infer { 1 } else { 4 }),
            image: self.image.unwrap_or(if kind.pretrains() { 288 } else { 384 }),
            text: self.text.unwrap_or(if kind.pretrains() { 64 } else { 32 }),
            small: self.small,
            bf16: self.bf16,
        }
    }
}

/// Times real steps with random weights and inputs, in turns with the same work in PyTorch where `--peer` names one.
#[derive(Debug, clap::Args)]
pub struct StepArgs {
    #[command(flatten)]
    size: SizeArgs,
    #[command(flatten)]
    turns: TurnArgs,
    #[command(flatten)]
    peer: PeerArgs,
}

/// What the shared encodings save: pre-training steps with them, in turns with the three objectives as three separate
/// passes; and what false images from the batch would save beyond
#[derive(Debug, clap::Args)]
pub struct SharingArgs {
    #[command(flatten)]
    size: SizeArgs,
    #[command(flatten)]
    turns: TurnArgs,
}

/// One turn in this process, printed as JSON.
#[derive(Debug, clap::Args)]
pub struct AloneArgs {
    kind: Kind,
    #[command(flatten)]
    size: SizeArgs,
}

/// All turns of a measurement.
#[derive(Debug, Serialize)]
struct Measured<'a> {
    work: String,
    sides: &'a [Side<Turn>],
}

/// Measures and prints the table.
pub fn run(args: &StepArgs, kind: Kind, backend: Backend) -> Result<ExitCode> {
    let (size, steps) = (args.size.size(kind), args.size.steps);
    let mut sides: Vec<(&str, Work<'_, Turn>)> = vec![("ours", Box::new(|| ours(kind, size, steps, backend)))];
    if let Some(python) = &args.peer.peer {
        sides.push(("PyTorch", Box::new(|| args.peer.turn(python, kind, size, steps))));
    }
    report(kind, size, &args.turns, sides, backend)?;
    if args.peer.peer.is_none() {
        say!("\nBeside PyTorch: --peer <python with torch>, in whose turn --peer-script does the same work.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures both ways of a pre-training step.
pub fn sharing(args: &SharingArgs, backend: Backend) -> Result<ExitCode> {
    let (size, steps) = (args.size.size(Kind::Pretrain), args.size.steps);
    let side = |kind| -> Work<'_, Turn> { Box::new(move || ours(kind, size, steps, backend)) };
    let sides = vec![
        ("shared encodings", side(Kind::Pretrain)),
        ("three passes", side(Kind::ThreePasses)),
        ("shared, false images from the batch", side(Kind::FalseFromBatch)),
    ];
    report(Kind::Pretrain, size, &args.turns, sides, backend)?;
    Ok(ExitCode::SUCCESS)
}

fn report(
    kind: Kind,
    size: Size,
    turns: &TurnArgs,
    sides: Vec<(&'static str, Work<'_, Turn>)>,
    backend: Backend,
) -> Result<()> {
    // Sizes that no model reads are found before a process is started.
    size.model(kind)?;
    let sides = alternate(turns.rounds, sides)?;
    let measured = Measured { work: describe(kind, size), sides: &sides };
    say!("{}", table(&measured.work, &sides).trim_end());
    write_json(turns.json.as_deref(), &backend.device()?, &measured)
}

/// A turn of ours, in a process of its own.
pub fn ours(kind: Kind, size: Size, steps: usize, backend: Backend) -> Result<Turn> {
    let mut command = this_program(backend, ["turn", kind.name()])?;
    turn_of(command.args(size.options(steps)))
}

/// One turn in this process.
pub fn alone(args: &AloneArgs, backend: Backend) -> Result<ExitCode> {
    let size = args.size.size(args.kind);
    let (seconds, parameters) = work::run(args.kind, size, args.size.steps, &backend.device()?)?;
    let turn = Turn { seconds, peak: memory::peak(), parameters: parameters as f64 / 1e6 };
    say!("{}", serde_json::to_string(&turn)?);
    Ok(ExitCode::SUCCESS)
}

/// The work in words.
pub fn describe(kind: Kind, size: Size) -> String {
    let work = match kind {
        Kind::Pretrain | Kind::ThreePasses | Kind::FalseFromBatch => "pre-training step",
        Kind::Finetune => "fine-tuning step",
        Kind::Infer => "answers",
    };
    let model = if size.small { "small" } else { "base" };
    let precision = if size.bf16 { "bf16" } else { "f32" };
    format!("{work}, {model}, batch {}, {} pixels, {} tokens, {precision}", size.batch, size.image, size.text)
}
