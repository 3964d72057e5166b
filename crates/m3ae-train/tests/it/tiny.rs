//! The smallest data set, recipe and run that there are.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use burn::prelude::*;
use m3ae_prepare::{PrepareOptions, SetName, phantom, prepare};
use m3ae_train::{Devices, Run, RunConfig, RunFolder, Setup, TrainError, train};

/// A folder with the synthetic set, and the same captions prepared.
pub struct Place {
    pub folder: tempfile::TempDir,
    next: AtomicUsize,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = RunConfig::parse(&recipe(folder.path(), "phantom"), "tiny", &[]).unwrap();
        phantom::ensure(&folder.path().join("phantom"), &config.phantom).unwrap();
        let (raw, out) = (folder.path().join("phantom/roco"), folder.path().join("arrows"));
        prepare(SetName::Roco, &raw, &out, &PrepareOptions::default(), &mut |_| {}).unwrap();
        Self { folder, next: AtomicUsize::new(0) }
    }

    /// Another number for every run.
    pub fn number(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// The recipe of one step with data of this kind.
pub fn recipe(folder: &Path, data: &str) -> String {
    let folder = folder.display();
    let data = match data {
        "phantom" => format!("[data]\nphantom = '{folder}/phantom'"),
        "fresh" => format!("[data]\nphantom = '{folder}/fresh'"),
        "roco" => format!("[data]\nroco = '{folder}/phantom/roco'\n[text]\ntokenizer = '{folder}/phantom/tokenizer'"),
        _ => format!(
            "[data]\nsets = ['roco']\nprepared = '{folder}/arrows'\n[text]\ntokenizer = '{folder}/phantom/tokenizer'"
        ),
    };
    format!(
        "
        [run]
        name = 'tiny'
        directory = '{folder}/runs'
        [model]
        preset = 'small'
        vision = {{ image_size = 32, patch_size = 16, width = 64, layers = 1 }}
        text = {{ width = 32, layers = 1, heads = 2, intermediate = 32 }}
        fusion = {{ width = 32, heads = 2, layers = 1 }}
        mim = {{ width = 32, heads = 2, layers = 1 }}
        [phantom]
        side = 32
        train = 4
        val = 2
        test = 2
        vqa_train = 2
        vqa_val = 1
        vqa_test = 1
        {data}
        [train]
        batch_size = 2
        steps = 1
        learning_rate = 1e-3
        warmup = 0.0
        [log]
        pictures = 0
        [checkpoint]
        background = false
        "
    )
}

/// Trains one step and saves.
pub fn one_step(config: &RunConfig) -> Result<(), TrainError> {
    RunFolder::check_free(config, false)?;
    let devices = vec![Device::default(); config.train.devices];
    let devices = Devices::open(devices, config.train.all_reduce, false)?;
    let setup = Setup::open(config)?;
    let run = Run::begin(config, &setup, &devices, || RunFolder::create(config, false))?;
    train(run, &mut (), &AtomicBool::new(true)).map(|_| ())
}
