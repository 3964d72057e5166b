//! A folder of the reference implementation's outputs on fixed inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use m3ae_model::M3aeConfig;
use m3ae_weights::{Checkpoint, HfTextConfig, HyperParameters, infer_config, read_settings};
use safetensors::SafeTensors;
use serde::Deserialize;

/// What the reference got, besides tensors. What an older fixture lacks is empty.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// Loss of each task on the one batch.
    pub losses: BTreeMap<String, f64>,
    /// The permutation that was applied to [1, 1, .., 0, 0, ..].
    pub itm_perm: Vec<usize>,
    /// Norm of each parameter's gradient, per task.
    #[serde(default)]
    pub grad_norms: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(default)]
    pretrain_trajectory: Vec<StepRecord>,
    #[serde(default)]
    pretrain_final_param_norms: BTreeMap<String, f64>,
    #[serde(default)]
    vqa_trajectory: Vec<StepRecord>,
    #[serde(default)]
    vqa_final_param_norms: BTreeMap<String, f64>,
}

/// One optimiser step of the reference.
#[derive(Clone, Debug, Deserialize)]
pub struct StepRecord {
    /// Norm of the whole gradient.
    pub grad_norm: f64,
    /// Learning rates of the groups: base, heads, fusion, each with and without decay.
    pub lrs: Vec<f64>,
    /// Loss by task.
    #[serde(flatten)]
    pub losses: BTreeMap<String, f64>,
}

/// Some optimiser steps on the one batch.
#[derive(Clone, Debug)]
pub struct Trajectory {
    /// First to last.
    pub steps: Vec<StepRecord>,
    /// Norm of every parameter at the end.
    pub final_norms: BTreeMap<String, f64>,
}

impl Expected {
    /// Pre-training, if the fixture has it.
    pub fn pretrain_trajectory(&self) -> Option<Trajectory> {
        Trajectory::new(&self.pretrain_trajectory, &self.pretrain_final_param_norms)
    }

    /// Question answering, if the fixture has it.
    pub fn vqa_trajectory(&self) -> Option<Trajectory> {
        Trajectory::new(&self.vqa_trajectory, &self.vqa_final_param_norms)
    }
}

impl Trajectory {
    fn new(steps: &[StepRecord], final_norms: &BTreeMap<String, f64>) -> Option<Self> {
        (!steps.is_empty()).then(|| Self { steps: steps.to_vec(), final_norms: final_norms.clone() })
    }
}

/// The optimiser's settings in `config.json`.
#[derive(Debug, Deserialize)]
pub struct Optimisation {
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Warm-up, as a share of the steps below 1.
    pub warmup_steps: f64,
    /// Power of the decay.
    pub decay_power: f64,
    /// Learning rate at the end.
    pub end_lr: f64,
}

/// The share of patches that masked image modelling removes.
#[derive(Debug, Deserialize)]
struct MaskRatio {
    mim_prob: f64,
}

/// A fixture, opened.
pub struct Fixture {
    /// The checkpoint whose outputs these are.
    pub checkpoint: Checkpoint,
    /// The model it needs.
    pub config: M3aeConfig,
    /// Share of patches removed.
    pub mask_ratio: f64,
    /// Losses, gradients' norms, trajectories.
    pub expected: Expected,
    /// The optimiser's settings.
    pub optimisation: Optimisation,
    io: Vec<u8>,
    path: PathBuf,
    read: BTreeSet<String>,
}

/// A tensor of the fixture.
pub struct Stored {
    /// Its axes.
    pub shape: Vec<usize>,
    /// Its values; integers are exact up to 2^53.
    pub values: Vec<f64>,
}

impl Fixture {
    /// Opens `folder`: `m3ae.ckpt`, `config.json`, `expected.json`, `io.safetensors`, and the text encoder's
    /// `config.json` in the folder that `config.json` names as `tokenizer`.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            bail!(
                "{}: no such folder; a fixture is a folder with m3ae.ckpt, config.json, expected.json and io.safetensors",
                folder.display()
            );
        }
        let settings_path = folder.join("config.json");
        let settings: HyperParameters = read_settings(&settings_path)?;
        let MaskRatio { mim_prob } = read_settings(&settings_path)?;
        let text: HfTextConfig = read_settings(&folder.join(&settings.tokenizer).join("config.json"))?;
        let checkpoint = Checkpoint::open(&folder.join("m3ae.ckpt"))?;
        let config = infer_config(&checkpoint, &settings, &text)?;
        let path = folder.join("io.safetensors");
        let io = fs::read(&path).with_context(|| path.display().to_string())?;
        SafeTensors::deserialize(&io).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let expected = read_settings(&folder.join("expected.json"))?;
        let optimisation = read_settings(&settings_path)?;
        let read = BTreeSet::new();
        Ok(Self { checkpoint, config, mask_ratio: mim_prob, expected, optimisation, io, path, read })
    }

    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.io).map_err(|error| anyhow!("{}: {error}", self.path.display()))
    }

    /// A tensor, if the fixture has it.
    pub fn get(&mut self, name: &str) -> Result<Option<Stored>> {
        self.read.insert(name.to_owned());
        stored(&self.tensors()?, name, &self.path)
    }

    fn data<const D: usize>(&mut self, name: &str) -> Result<Stored> {
        let path = self.path.clone();
        let Some(stored) = self.get(name)? else { bail!("{}: tensor {name} is missing", path.display()) };
        if stored.shape.len() != D {
            bail!("{}: tensor {name} has shape {:?}, which should have {D} axes", path.display(), stored.shape);
        }
        Ok(stored)
    }

    /// An input of floats.
    pub fn float<const D: usize>(&mut self, name: &str, device: &Device) -> Result<Tensor<D>> {
        Ok(self.data::<D>(name)?.float(device))
    }

    /// An input of integers.
    pub fn int<const D: usize>(&mut self, name: &str, device: &Device) -> Result<Tensor<D, Int>> {
        Ok(self.data::<D>(name)?.int(device))
    }

    /// Names of the tensors that begin so, in alphabetical order.
    pub fn names_with_prefix(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names: Vec<String> =
            self.tensors()?.names().into_iter().filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Tensors that nothing has asked for so far, in alphabetical order.
    pub fn unread(&self) -> Result<Vec<String>> {
        let names = self.tensors()?.names().into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        Ok(names.difference(&self.read).cloned().collect())
    }
}

impl Stored {
    /// As a tensor of floats, whose axes the caller has counted.
    pub fn float<const D: usize>(self, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.values, self.shape), (device, DType::F32))
    }

    /// As a tensor of integers, whose axes the caller has counted.
    pub fn int<const D: usize>(self, device: &Device) -> Tensor<D, Int> {
        Tensor::from_data(TensorData::new(self.values, self.shape).convert::<i64>(), device)
    }
}

/// A tensor of the file at `path`, if it is there.
pub fn stored(tensors: &SafeTensors<'_>, name: &str, path: &Path) -> Result<Option<Stored>> {
    if !tensors.names().contains(&name) {
        return Ok(None);
    }
    let stored = tensors.tensor(name).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let bytes = stored.data();
    let values: Vec<f64> = match stored.dtype() {
        safetensors::Dtype::F32 => chunks(bytes).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
        safetensors::Dtype::I64 => chunks(bytes).map(|b| i64::from_le_bytes(b) as f64).collect(),
        other => bail!("{}: tensor {name} has type {other:?}; F32 and I64 are expected", path.display()),
    };
    Ok(Some(Stored { shape: stored.shape().to_vec(), values }))
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
