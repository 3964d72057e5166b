//! The pre-training task: all objectives together (`docs/spec.md`, section 2).

use std::path::Path;

use burn::prelude::*;
use burn::tensor::activation::softmax;
use m3ae_data::CaptionBatch;
use m3ae_image::side_by_side;
use m3ae_model::{HeadsConfig, M3ae};
use m3ae_text::Tokenizer;
use serde::Serialize;

use super::{Batcher, BatcherConfig, MaskedTokens, MlmOutput, ObjectiveWeights, pretrain_step};
use crate::error::TrainError;
use crate::metrics::{Measured, Metrics, Term};
use crate::recipe::{FalseImages, RunConfig};
use crate::source::{Source, captions};
use crate::task::{NewTask, Task, TaskSpec};

/// Pre-training, as recipes name it.
pub(crate) static PRETRAINING: TaskSpec = TaskSpec {
    name: crate::recipe::PRETRAINING,
    metrics: &[
        ("mlm_loss", "masked language modelling, loss"),
        ("mlm_accuracy", "masked tokens predicted correctly"),
        ("mim_loss", "masked image modelling, loss"),
        ("itm_loss", "image-text matching, loss"),
        ("itm_accuracy", "pairs classified correctly"),
    ],
    open,
};

fn open(config: &RunConfig) -> Result<(Source, NewTask), TrainError> {
    // Pre-training never reads the test split.
    let mut source = captions(config, &["train", "val"])?;
    source.false_images = config.objectives.itm > 0.0 && config.objectives.false_images == FalseImages::DataSet;
    let task: NewTask = Box::new(|config, tokenizer, vision| {
        let batcher = BatcherConfig {
            seed: config.run.seed,
            image_size: vision.image_size(),
            patches: vision.patches(),
            mask_ratio: config.masking.image_ratio,
            text: config.text_mask(),
            objectives: ObjectiveWeights {
                mlm: config.objectives.mlm,
                mim: config.objectives.mim,
                itm: config.objectives.itm,
            },
        };
        Ok(Box::new(Pretraining::new(batcher, tokenizer.clone(), config.log.pictures)?))
    });
    Ok((source, task))
}

/// Words that are shown with the model's guesses.
const SHOWN_GUESSES: usize = 3;

/// Pre-training.
pub struct Pretraining {
    batcher: Batcher,
    weights: ObjectiveWeights,
    tokenizer: Tokenizer,
    /// Images in the picture of reconstructions.
    pictures: usize,
}

impl Pretraining {
    /// Pre-training on captions of this tokenizer. Each validation draws the first `pictures` images' reconstructions,
    /// and lists the model's guesses for the masked tokens of their captions.
    ///
    /// # Errors
    /// As [`Batcher::new`].
    pub fn new(batcher: BatcherConfig, tokenizer: Tokenizer, pictures: usize) -> Result<Self, TrainError> {
        Ok(Self { batcher: Batcher::new(batcher, &tokenizer)?, weights: batcher.objectives, tokenizer, pictures })
    }
}

impl Task for Pretraining {
    fn heads(&self) -> HeadsConfig {
        HeadsConfig::new()
    }

    fn step(&self, model: &M3ae, samples: &CaptionBatch, number: u64, device: &Device) -> Result<Measured, TrainError> {
        let batch = self.batcher.batch(samples, number, device)?;
        let output = pretrain_step(model, &batch)?;
        let size = samples.len();
        let mut terms = Vec::with_capacity(5);
        if let (Some(masked), Some(mlm)) = (&batch.mlm, &output.mlm) {
            let [tokens] = masked.targets.dims();
            terms.push(Term::mean("mlm_loss", &mlm.loss, tokens));
            terms.push(Term::sum("mlm_accuracy", mlm.hits.clone().float(), tokens));
        }
        if let Some(mim) = &output.mim {
            terms.push(Term::mean("mim_loss", &mim.loss, size));
        }
        if let Some(itm) = &output.itm {
            terms.push(Term::mean("itm_loss", &itm.loss, size));
            terms.push(Term::sum("itm_accuracy", itm.hits.clone().float(), size));
        }
        Ok(Measured { loss: output.total(self.weights), terms, samples: size })
    }

    /// `mlm_accuracy + itm_accuracy - mim_loss`, as in the reference.
    fn score(&self, metrics: &Metrics) -> f64 {
        let of = |name| metrics.get(name).unwrap_or(0.0);
        of("mlm_accuracy") + of("itm_accuracy") - of("mim_loss")
    }

    fn show(
        &self,
        model: &M3ae,
        samples: &CaptionBatch,
        step: usize,
        device: &Device,
        folder: &Path,
    ) -> Result<(), TrainError> {
        if self.pictures == 0 || samples.is_empty() {
            return Ok(());
        }
        let batch = self.batcher.batch(samples, 0, device)?;
        let output = pretrain_step(model, &batch)?;
        if let (Some(masked), Some(mlm)) = (&batch.mlm, &output.mlm) {
            let [_, length] = batch.text_ids.dims();
            let path = folder.join(format!("predictions-{step:06}.json"));
            let json = serde_json::to_vec_pretty(&self.guesses(samples, length, masked, mlm)?);
            let json = json.map_err(std::io::Error::from).map_err(TrainError::io(&path))?;
            std::fs::write(&path, json).map_err(TrainError::io(&path))?;
        }
        if let (Some(visible), Some(mim)) = (&batch.mim, output.mim) {
            let path = folder.join(format!("reconstructions-{step:06}.png"));
            let [count, _, side, _] = batch.image.dims();
            let first = self.pictures.min(count);
            let reconstruction = model.reconstruction(
                batch.image.narrow(0, 0, first),
                visible.mask.clone().narrow(0, 0, first),
                mim.patches.narrow(0, 0, first),
            );
            let drawn = side_by_side(&reconstruction.into_values()?, side);
            drawn.save(&path).map_err(|source| TrainError::Picture { path: path.clone(), source })?;
        }
        Ok(())
    }
}

/// A caption with the model's guesses for its hidden tokens.
#[derive(Serialize)]
struct Guessed {
    text: String,
    words: Vec<GuessedWord>,
}

#[derive(Serialize)]
struct GuessedWord {
    /// Token position in the text.
    position: usize,
    truth: String,
    /// Best first, with probabilities.
    guesses: Vec<(String, f32)>,
}

impl Pretraining {
    /// For the first captions: the model's guesses for each masked token. Texts are `length` tokens long, padding
    /// included.
    fn guesses(
        &self,
        samples: &CaptionBatch,
        length: usize,
        masked: &MaskedTokens,
        mlm: &MlmOutput,
    ) -> Result<Vec<Guessed>, TrainError> {
        let shown = self.pictures.min(samples.len());
        let mut guessed = Vec::with_capacity(shown);
        for ids in &samples.text_ids[..shown] {
            guessed.push(Guessed { text: self.tokenizer.decode(ids, true), words: Vec::new() });
        }
        let [rows, vocabulary] = mlm.logits.dims();
        if rows == 0 {
            return Ok(guessed);
        }
        let probabilities: Vec<f32> = softmax(mlm.logits.clone(), 1).try_into_vec_as()?; // [M, V]
        let positions: Vec<i64> = masked.positions.clone().try_into_vec_as()?;
        let targets: Vec<i64> = masked.targets.clone().try_into_vec_as()?;
        for ((row, &place), &target) in probabilities.chunks_exact(vocabulary).zip(&positions).zip(&targets) {
            let (sample, position) = (place as usize / length, place as usize % length);
            let Some(of) = guessed.get_mut(sample) else { break };
            let mut best: Vec<usize> = (0..vocabulary).collect();
            best.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let mut guesses = Vec::with_capacity(SHOWN_GUESSES);
            for &token in best.iter().take(SHOWN_GUESSES) {
                guesses.push((self.tokenizer.decode(&[token as u32], false), row[token]));
            }
            of.words.push(GuessedWord { position, truth: self.tokenizer.decode(&[target as u32], false), guesses });
        }
        Ok(guessed)
    }
}
