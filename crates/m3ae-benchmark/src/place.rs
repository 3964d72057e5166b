//! Where results go: a folder for each model and benchmark, whose results are not lost to those of another model.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use m3ae_eval::{Evaluation, read_evaluation};

use crate::error::BenchmarkError;
use crate::names::{Benchmark, Split};

/// File endings of weights, which are no part of a name.
const ENDINGS: [&str; 5] = ["ckpt", "safetensors", "pt", "pth", "bin"];
/// Names of weights that say nothing about whose they are.
const NAMELESS: [&str; 2] = ["model", "pytorch_model"];
/// The results' record: written last.
pub const RECORD: &str = "eval.json";
/// Digits of a hash that a message shows.
const SHOWN: usize = 12;

/// `runs/eval/<benchmark>-<model>`, with the split behind it where that is not test.
#[must_use]
pub fn default_folder(benchmark: Benchmark, split: Split, checkpoint: &str) -> PathBuf {
    let of_split = if split == Split::Test { String::new() } else { format!("-{}", split.name()) };
    Path::new("runs/eval").join(format!("{}-{}{of_split}", benchmark.name(), model_name(checkpoint)))
}

/// What people call a model: the run's name for `runs/<run>` and all that is in it, else the file's or folder's.
#[must_use]
pub fn model_name(checkpoint: &str) -> String {
    let path = std::path::absolute(checkpoint).unwrap_or_else(|_| checkpoint.into());
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
    let mut names: Vec<String> = parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if let Some(file) = names.last_mut()
        && let Some((stem, ending)) = file.rsplit_once('.')
        && ENDINGS.contains(&ending)
    {
        *file = stem.to_owned();
    }
    // Of a folder's own weights, and of a run's best model, only the folder has a name.
    while names.len() > 1 && names.last().is_some_and(|name| NAMELESS.contains(&name.as_str())) {
        names.pop();
    }
    match names.as_slice() {
        [.., run, checkpoints, name] if checkpoints == "checkpoints" => format!("{run}-{name}"),
        [.., name] => name.clone(),
        [] => "model".to_owned(),
    }
}

/// Refuses to overwrite the results of another evaluation: of another model, split or benchmark, or from other data or
/// settings.
pub(crate) fn check_free(
    folder: &Path,
    benchmark: Benchmark,
    split: Split,
    inputs: &BTreeMap<String, String>,
) -> Result<(), BenchmarkError> {
    let record = folder.join(RECORD);
    if !record.exists() {
        return Ok(());
    }
    let found =
        read_evaluation(&record).map_err(|source| BenchmarkError::Unreadable { folder: folder.to_owned(), source })?;
    let differences = differences(&found, benchmark, split, inputs);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(BenchmarkError::Taken { folder: folder.to_owned(), model: found.model, differences }),
    }
}

/// What was not the same when `found` was made.
fn differences(
    found: &Evaluation,
    benchmark: Benchmark,
    split: Split,
    inputs: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |name: &str, was: Option<&str>, is: Option<&str>| {
        if was != is {
            let short = |value: Option<&str>| -> String {
                let value = value.unwrap_or("not recorded");
                let is_hash = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
                value.chars().take(if is_hash { SHOWN } else { usize::MAX }).collect()
            };
            differences.push(format!("{} was {}, is {}", name.replace('_', " "), short(was), short(is)));
        }
    };
    compare("benchmark", Some(&found.benchmark), Some(benchmark.name()));
    compare("split", Some(&found.split), Some(split.name()));
    let names: std::collections::BTreeSet<&String> = found.inputs.keys().chain(inputs.keys()).collect();
    for name in names {
        let of = |inputs: &BTreeMap<String, String>| inputs.get(name).cloned();
        compare(name, of(&found.inputs).as_deref(), of(inputs).as_deref());
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_what_its_run_is_called() {
        for (checkpoint, name) in [
            ("runs/vqa-rad", "vqa-rad"),
            ("runs/vqa-rad/", "vqa-rad"),
            ("runs/vqa-rad/model", "vqa-rad"),
            ("runs/vqa-rad/model/model.safetensors", "vqa-rad"),
            ("runs/tiny/checkpoints/best-000300", "tiny-best-000300"),
            ("runs/tiny/checkpoints/best-000300/model.safetensors", "tiny-best-000300"),
            ("/data/m3ae_vqa_rad_small.ckpt", "m3ae_vqa_rad_small"),
            ("owner/m3ae-v1.5", "m3ae-v1.5"),
            ("downloads/m3ae/pytorch_model.bin", "m3ae"),
        ] {
            assert_eq!(model_name(checkpoint), name, "{checkpoint}");
        }
        let folder = default_folder(Benchmark::VqaRad, Split::Val, "runs/tiny");
        assert_eq!(folder, Path::new("runs/eval/vqa-rad-tiny-val"));
        assert_eq!(default_folder(Benchmark::Roco, Split::Test, "a.ckpt"), Path::new("runs/eval/roco-a"));
    }
}
