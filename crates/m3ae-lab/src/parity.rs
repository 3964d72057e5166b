//! `m3ae-lab parity <folder>`: our outputs against the reference implementation's, tensor by tensor.

mod fixture;
mod forward;
mod gradients;
mod learning;
mod question_answering;
mod table;

use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::prelude::Device;
use m3ae_weights::load;

use fixture::Fixture;
use forward::Inputs;
use table::Table;

/// Compare with outputs of the reference implementation on fixed inputs.
#[derive(Debug, clap::Args)]
pub struct ParityArgs {
    /// Folder with m3ae.ckpt, config.json, expected.json, io.safetensors and the text encoder's folder; or of a
    /// fine-tuned model: a .ckpt and inputs.safetensors, its preprocessed questions with their logits
    folder: PathBuf,
    /// Leave out gradients and training trajectories
    #[arg(long)]
    forward_only: bool,
}

/// Whether a tensor of the fixture is an input, or belongs to what `--forward-only` leaves out.
fn is_no_output(name: &str, forward_only: bool) -> bool {
    const INPUTS: [&str; 4] = ["answer_types", "vqa_labels", "cls_labels", "text_labels_mlm"];
    INPUTS.contains(&name) || (forward_only && name.starts_with("grad_"))
}

/// Runs the comparison; fails where a tensor does.
pub fn run(args: &ParityArgs, device: &Device) -> Result<()> {
    let mut table = Table::default();
    if question_answering::is_one(&args.folder) {
        question_answering::compare(&args.folder, device, &mut table)?;
        print!("{table}");
        return verdict(&table);
    }
    let mut fixture = Fixture::open(&args.folder)?;
    let mut model = fixture.config.init(device)?;
    let report = load(&mut model, &fixture.checkpoint)?;
    println!("{}: {} tensors loaded, {} left out:", args.folder.display(), report.loaded.len(), report.ignored.len());
    for (name, reason) in &report.ignored {
        println!("  {name}: {reason}");
    }

    let inputs = Inputs::read(&mut fixture, device)?;
    forward::compare(&model, &mut fixture, &inputs, &mut table)?;
    if !args.forward_only {
        learning::compare(&mut fixture, device, &mut table)?;
    }
    print!("{table}");

    let unread: Vec<String> =
        fixture.unread()?.into_iter().filter(|name| !is_no_output(name, args.forward_only)).collect();
    if !unread.is_empty() {
        bail!("{} outputs of the fixture were compared with nothing: {}", unread.len(), unread.join(", "));
    }
    verdict(&table)
}

fn verdict(table: &Table) -> Result<()> {
    let (compared, failed) = table.counts();
    if failed > 0 {
        bail!("{failed} of {compared} comparisons failed");
    }
    println!("{compared} comparisons, all within tolerance");
    Ok(())
}
