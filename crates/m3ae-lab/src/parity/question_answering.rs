//! A folder of a fine-tuned model: preprocessed questions, and the reference's logits for them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use burn::prelude::*;
use m3ae_model::Texts;
use m3ae_weights::{Checkpoint, find_config, load};
use safetensors::SafeTensors;

use super::fixture::{self, Stored};
use super::table::{Table, Tolerance};

/// What marks such a folder.
const INPUTS: &str = "inputs.safetensors";

/// Whether `folder` holds preprocessed questions.
pub fn is_one(folder: &Path) -> bool {
    folder.join(INPUTS).is_file()
}

/// Compares the logits of every question, one question at a time and all together.
pub fn compare(folder: &Path, device: &Device, table: &mut Table) -> Result<()> {
    let checkpoint = Checkpoint::open(&checkpoint_in(folder)?)?;
    let mut model = find_config(&checkpoint)?.init(device)?;
    let report = load(&mut model, &checkpoint)?;
    println!("{}: {} tensors loaded, {} left out", folder.display(), report.loaded.len(), report.ignored.len());
    let head = model.vqa_head.as_ref().context("the checkpoint has no question-answering head")?;

    let path = folder.join(INPUTS);
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let read = |name: &str, axes: usize| -> Result<Stored> {
        let stored = fixture::stored(&tensors, name, &path)?;
        let stored = stored.with_context(|| format!("{}: tensor {name} is missing", path.display()))?;
        match stored.shape.len() == axes {
            true => Ok(stored),
            false => bail!("{}: tensor {name} has shape {:?}", path.display(), stored.shape),
        }
    };
    let image = read("image", 4)?.float::<4>(device);
    let ids = read("text_ids", 2)?.int::<2>(device);
    let mask = read("text_masks", 2)?.int::<2>(device);
    let theirs = read("logits", 2)?;
    let [rows, answers] = theirs.shape[..] else { bail!("{}: the logits are no matrix", path.display()) };
    if image.dims()[0] != rows || ids.dims()[0] != rows || mask.dims() != ids.dims() {
        bail!("{}: its tensors have different numbers of questions", path.display());
    }

    let logits = |from: usize, count: usize| -> Result<Vec<f64>> {
        let image = image.clone().narrow(0, from, count);
        let (ids, mask) = (ids.clone().narrow(0, from, count), mask.clone().narrow(0, from, count));
        let pooled = model.forward(Texts { ids, mask }, image).pooled;
        let values: Vec<f32> = head.forward(pooled, model.precision()).try_into_vec_as()?;
        Ok(values.into_iter().map(f64::from).collect())
    };
    let close = Tolerance::Relative(1e-4);
    for row in 0..rows {
        let theirs = &theirs.values[row * answers..(row + 1) * answers];
        table.compare_slices(format!("vqa_logits of question {row}"), &logits(row, 1)?, theirs, close, 0.0);
    }
    table.compare_slices("vqa_logits of all questions".into(), &logits(0, rows)?, &theirs.values, close, 0.0);
    Ok(())
}

fn checkpoint_in(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "ckpt"))
        .collect();
    match (found.pop(), found.pop()) {
        (Some(path), None) => Ok(path),
        (None, _) => bail!("{}: there is no .ckpt file beside {INPUTS}", folder.display()),
        (Some(_), Some(_)) => bail!("{}: there are several .ckpt files", folder.display()),
    }
}
