//! Masked language modelling, masked image modelling and image-text matching together (spec 2).

use std::path::PathBuf;

use burn::prelude::*;
use burn::tensor::activation::softmax;
use m3ae_data::CaptionBatch;
use m3ae_model::{HeadsConfig, M3ae};
use m3ae_text::Tokenizer;
use serde::Serialize;

use super::{Batcher, BatcherConfig};
use crate::error::TrainError;
use crate::metrics::{Measured, Metrics, Term};
use crate::pretrain::draw_reconstructions;
use crate::pretrain::{ObjectiveWeights, PretrainBatch, PretrainOutput, pretrain_step};
use crate::run::RunFolder;
use crate::task::Task;

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
    /// The task over captions of this tokenizer.
    ///
    /// # Errors
    /// As [`Batcher::new`].
    pub fn new(
        batcher: BatcherConfig,
        weights: ObjectiveWeights,
        tokenizer: Tokenizer,
        pictures: usize,
    ) -> Result<Self, TrainError> {
        Ok(Self { batcher: Batcher::new(batcher, &tokenizer)?, weights, tokenizer, pictures })
    }
}

impl Task for Pretraining {
    fn heads(&self) -> HeadsConfig {
        HeadsConfig::new()
    }

    fn step(&self, model: &M3ae, samples: &CaptionBatch, number: u64, device: &Device) -> Result<Measured, TrainError> {
        let batch = self.batcher.batch(samples, number, device)?;
        let output = pretrain_step(model, &batch)?;
        let ([tokens], size) = (batch.mlm.targets.dims(), samples.len());
        let terms = vec![
            Term::mean("mlm_loss", &output.mlm, tokens),
            Term::sum("mlm_accuracy", output.mlm_hits.clone().float(), tokens),
            Term::mean("mim_loss", &output.mim, size),
            Term::mean("itm_loss", &output.itm, size),
            Term::sum("itm_accuracy", output.itm_hits.clone().float(), size),
        ];
        Ok(Measured { loss: output.total(self.weights), terms, samples: size })
    }

    /// The sum of the objectives' metrics, of which masked image modelling has minus its loss.
    fn score(&self, metrics: &Metrics) -> f64 {
        let of = |name| metrics.get(name).unwrap_or(0.0);
        of("mlm_accuracy") + of("itm_accuracy") - of("mim_loss")
    }

    fn score_name(&self) -> &'static str {
        "mlm_accuracy + itm_accuracy - mim_loss"
    }

    fn show(
        &self,
        model: &M3ae,
        samples: &CaptionBatch,
        step: usize,
        device: &Device,
        folder: &RunFolder,
    ) -> Result<Vec<PathBuf>, TrainError> {
        if self.pictures == 0 || samples.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.batcher.batch(samples, 0, device)?;
        let output = pretrain_step(model, &batch)?;
        let words = folder.file(&format!("predictions-{step:06}.json"));
        let json = serde_json::to_vec_pretty(&self.guesses(samples, &batch, &output)?);
        let json = json.map_err(std::io::Error::from).map_err(TrainError::io(&words))?;
        std::fs::write(&words, json).map_err(TrainError::io(&words))?;
        let picture = folder.file(&format!("reconstructions-{step:06}.png"));
        let drawn = draw_reconstructions(model, &batch.image, &batch.visible.mask, output.patches, self.pictures)?;
        drawn.save(&picture).map_err(|source| TrainError::Picture { path: picture.clone(), source })?;
        Ok(vec![picture, words])
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
    fn guesses(
        &self,
        samples: &CaptionBatch,
        batch: &PretrainBatch,
        output: &PretrainOutput,
    ) -> Result<Vec<Guessed>, TrainError> {
        let shown = self.pictures.min(samples.len());
        let mut guessed = Vec::with_capacity(shown);
        for ids in &samples.text_ids[..shown] {
            guessed.push(Guessed { text: self.tokenizer.decode(ids, true), words: Vec::new() });
        }
        let [rows, vocabulary] = output.token_logits.dims();
        let [_, length] = batch.text_ids.dims();
        if rows == 0 {
            return Ok(guessed);
        }
        let probabilities: Vec<f32> = softmax(output.token_logits.clone(), 1).try_into_vec_as()?; // [M, V]
        let positions: Vec<i64> = batch.mlm.positions.clone().try_into_vec_as()?;
        let targets: Vec<i64> = batch.mlm.targets.clone().try_into_vec_as()?;
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
