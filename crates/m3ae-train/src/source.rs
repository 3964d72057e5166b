//! The samples of a run's three splits.

use std::path::PathBuf;

use m3ae_data::{CaptionSample, CaptionSet, MixtureSource, Skipped, mix, read_captions_arrow};
use m3ae_prepare::{prepared_file_name, read_roco};

use crate::error::TrainError;
use crate::recipe::RunConfig;

/// Samples of the three splits, and what a task needs beside them.
pub(crate) struct Source {
    pub train: Vec<CaptionSample>,
    pub val: Vec<CaptionSample>,
    pub test: Vec<CaptionSample>,
    pub unusable: Vec<Skipped>,
    /// Samples and unusable lines.
    pub lines_read: usize,
    /// Whether each training image comes with another one of the data set.
    pub false_images: bool,
    /// Other texts of the data set that come with each image.
    pub false_texts: usize,
    digest: blake3::Hasher,
}

impl Source {
    /// All of whose samples could be used.
    pub(crate) fn new([train, val, test]: [Vec<CaptionSample>; 3]) -> Self {
        let lines_read = train.len() + val.len() + test.len();
        let mut source = Self {
            train,
            val,
            test,
            unusable: Vec::new(),
            lines_read,
            false_images: false,
            false_texts: 0,
            digest: blake3::Hasher::new(),
        };
        let mut digest = std::mem::take(&mut source.digest);
        for split in [&source.train, &source.val, &source.test] {
            add_field(&mut digest, &(split.len() as u64).to_le_bytes());
            for sample in split {
                add_field(&mut digest, sample.id.as_bytes());
                add_field(&mut digest, sample.caption.as_bytes());
            }
        }
        Self { digest, ..source }
    }

    /// Adds a label to the digest.
    pub(crate) fn add_to_digest(&mut self, field: &[u8]) {
        add_field(&mut self.digest, field);
    }

    /// Hash of all splits' ids, texts and labels.
    pub(crate) fn digest(&self) -> String {
        self.digest.finalize().to_hex().to_string()
    }
}

/// Each field with its length before it: no two lists of fields are the same bytes.
fn add_field(digest: &mut blake3::Hasher, field: &[u8]) {
    digest.update(&(field.len() as u64).to_le_bytes());
    digest.update(field);
}

/// The files of one split: those of the recipe's sets. The test split may be absent.
pub(crate) fn files(config: &RunConfig, split: &str) -> Result<Vec<PathBuf>, TrainError> {
    let mut files = Vec::new();
    for set in &config.data.sets {
        let path = config.data.prepared.join(prepared_file_name(set, split));
        if path.is_file() {
            files.push(path);
        } else if split != "test" {
            return Err(TrainError::NotPrepared { set: set.clone(), path });
        }
    }
    Ok(files)
}

/// Captioned images of these splits, of the recipe's folder or of its prepared sets.
///
/// # Errors
/// A missing or damaged file; the message names the key.
pub(crate) fn captions(config: &RunConfig, splits: &[&str]) -> Result<Source, TrainError> {
    let (key, folder) = match (&config.data.phantom, &config.data.roco) {
        (Some(folder), _) => ("data.phantom", Some(folder.join("roco"))),
        (None, Some(folder)) => ("data.roco", Some(folder.clone())),
        (None, None) => ("data.sets", None),
    };
    let (mut unusable, mut lines_read) = (Vec::new(), 0);
    let mut samples = [const { Vec::new() }; 3];
    for (samples, split) in samples.iter_mut().zip(["train", "val", "test"]) {
        if !splits.contains(&split) {
            continue;
        }
        let sets: Vec<CaptionSet> = match &folder {
            Some(folder) => vec![read_roco(folder, split).map_err(TrainError::of_key(key))?],
            None => {
                let sets = files(config, split)?.iter().map(|path| read_captions_arrow(path)).collect::<Result<_, _>>();
                sets.map_err(TrainError::of_key(key))?
            }
        };
        let mut sources = Vec::with_capacity(sets.len());
        for (number, set) in sets.into_iter().enumerate() {
            // Weights are for training; every sample counts once in validation.
            let weight = if split == "train" { config.data.weights.get(number).copied() } else { None };
            sources.push(MixtureSource { samples: set.samples, weight: weight.unwrap_or(1.0) });
            unusable.extend(set.skipped);
            lines_read += set.lines_read;
        }
        if !sources.is_empty() {
            *samples = mix(&sources, config.run.seed).map_err(TrainError::of_key("data.weights"))?;
        }
    }
    Ok(Source { unusable, lines_read, ..Source::new(samples) })
}
