//! The work that is measured: real steps of a model with random weights on random inputs.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::Distribution;
use m3ae_model::{
    ClipVisionConfig, FusionConfig, HeadsConfig, M3ae, M3aeConfig, MimConfig, Precision, TextConfig, Texts,
    VisiblePatches,
};
use m3ae_train::{
    AdamW, AdamWConfig, MaskedTokens, Matching, ObjectiveWeights, PretrainBatch, gradient_norms, pretrain_step,
    three_passes, vqa_loss,
};
use serde::Serialize;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A pre-training step.
    Pretrain,
    /// A pre-training step as three separate passes, the reference's way.
    ThreePasses,
    /// A pre-training step whose false images are other images of the batch (`objectives.false_images = "batch"`).
    FalseFromBatch,
    /// A fine-tuning step.
    Finetune,
    /// Answers without training.
    Infer,
}

impl Kind {
    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::ThreePasses => "three-passes",
            Self::FalseFromBatch => "false-from-batch",
            Self::Finetune => "finetune",
            Self::Infer => "infer",
        }
    }

    /// Whether it has the pre-training objectives.
    pub fn pretrains(self) -> bool {
        matches!(self, Self::Pretrain | Self::ThreePasses | Self::FalseFromBatch)
    }

    /// The peer's word for it.
    pub fn of_peer(self) -> &'static str {
        match self {
            Self::Pretrain | Self::ThreePasses | Self::FalseFromBatch => "pretrain",
            Self::Finetune => "vqa",
            Self::Infer => "infer",
        }
    }
}

/// Sizes of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Samples in a step.
    pub batch: usize,
    /// Image side in pixels.
    pub image: usize,
    /// Tokens of each text.
    pub text: usize,
    /// A model of width 192 instead of the published one.
    pub small: bool,
    /// bfloat16 products.
    pub bf16: bool,
}

/// Answers of VQA-RAD.
const ANSWERS: usize = 498;
const VOCABULARY: usize = 50_265;

impl Size {
    /// As options of the peer and of a turn of ours.
    pub fn options(&self, steps: usize) -> Vec<String> {
        let sizes = [("--batch", self.batch), ("--image", self.image), ("--text", self.text), ("--steps", steps)];
        let mut options: Vec<String> =
            sizes.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_string()]).collect();
        options.extend(self.small.then(|| "--small".to_owned()));
        options.extend(self.bf16.then(|| "--bf16".to_owned()));
        options
    }

    /// Of matrix products.
    pub fn precision(&self) -> Precision {
        if self.bf16 { Precision::Bf16 } else { Precision::F32 }
    }

    /// The model.
    ///
    /// # Errors
    /// No model reads images or texts of these sizes.
    pub fn model(&self, kind: Kind) -> Result<M3aeConfig> {
        let mut config = M3aeConfig::base();
        if self.small {
            config = M3aeConfig::new(
                ClipVisionConfig::new().with_width(192).with_layers(6),
                TextConfig::new().with_width(192).with_heads(6).with_layers(2).with_intermediate(768),
                FusionConfig::new().with_width(192).with_heads(6).with_layers(3),
                MimConfig::new().with_width(96).with_heads(3).with_layer(Some(1)),
                HeadsConfig::new(),
            );
        }
        config.vision = config.vision.at(self.image);
        if !kind.pretrains() {
            config.heads = HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false).with_vqa(Some(ANSWERS));
        }
        let (patch, longest) = (config.vision.patch_size(), config.text.max_length());
        ensure!(self.batch > 0 && self.text > 0, "--batch and --text are at least 1");
        ensure!(
            self.image >= patch && self.image.is_multiple_of(patch),
            "--image {} is no multiple of the patch size {patch}",
            self.image
        );
        ensure!(self.text <= longest, "--text {}: the text encoder ends at {longest}", self.text);
        Ok(config)
    }
}

/// Seconds of each of `steps` steps, the first of which warms up and is left out; and the model's parameters.
pub fn run(kind: Kind, size: Size, steps: usize, device: &Device) -> Result<(Vec<f64>, usize)> {
    ensure!(steps > 0, "--steps is at least 1");
    let config = size.model(kind)?;
    let device = if kind == Kind::Infer { device.clone() } else { device.clone().autodiff() };
    device.seed(0);
    let mut model = config.init(&device)?.with_precision(size.precision());
    let parameters = model.num_params();
    let mut optimizer = AdamW::new(AdamWConfig::published(1e-5));
    let inputs = Inputs::new(size, &device);
    let mut seconds = Vec::with_capacity(steps);
    for step in 0..=steps {
        let start = Instant::now();
        model = one(kind, model, &mut optimizer, &inputs)?;
        device.sync().context("the device")?;
        if step > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok((seconds, parameters))
}

/// One step, as the training loop makes it.
fn one(kind: Kind, model: M3ae, optimizer: &mut AdamW, inputs: &Inputs) -> Result<M3ae> {
    let Inputs { image, ids, mask, .. } = inputs;
    let loss = match kind {
        Kind::Pretrain | Kind::ThreePasses | Kind::FalseFromBatch => {
            let step = if kind == Kind::ThreePasses { three_passes } else { pretrain_step };
            let mut batch = inputs.pretraining(model.patch_size());
            if kind == Kind::FalseFromBatch {
                batch.itm = batch.itm.map(from_batch);
            }
            step(&model, &batch)?.total(ObjectiveWeights::default())
        }
        Kind::Finetune | Kind::Infer => {
            let head = model.vqa_head.as_ref().context("a model without vqa head")?;
            let texts = Texts { ids: ids.clone(), mask: mask.clone() };
            let logits = head.forward(model.forward_pooled(texts, image.clone()), model.precision());
            let targets = logits.zeros_like();
            vqa_loss(logits, targets)
        }
    };
    let value = loss.clone().into_scalar::<f32>();
    ensure!(value.is_finite(), "the loss is {value}");
    if kind == Kind::Infer {
        return Ok(model);
    }
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    ensure!(gradient_norms(&model, &gradients).total.is_finite(), "a gradient that is not finite");
    Ok(optimizer.step(model, gradients, 1.0))
}

/// The same pairs, of which those that do not match have the next image of the batch.
fn from_batch(itm: Matching) -> Matching {
    let ([size], device) = (itm.rows.dims(), itm.rows.device());
    let [_, channels, side, _] = itm.false_image.dims();
    let own = Tensor::<1, Int>::arange(0..size as i64, &device);
    let torn = itm.labels.clone().equal_elem(0).int();
    Matching {
        false_image: Tensor::empty([0, channels, side, side], &device),
        rows: (own + torn).remainder_scalar(size as i64),
        labels: itm.labels,
    }
}

/// Random inputs of a step.
pub struct Inputs {
    image: Tensor<4>,
    ids: Tensor<2, Int>,
    mask: Tensor<2, Int>,
    size: Size,
}

impl Inputs {
    /// Of these sizes.
    pub fn new(size: Size, device: &Device) -> Self {
        let Size { batch, image, text, .. } = size;
        let image = Tensor::random([batch, 3, image, image], Distribution::Normal(0.0, 1.0), device);
        let ids = Tensor::<1, Int>::arange(0..(batch * text) as i64, device)
            .mul_scalar(7919)
            .remainder_scalar(VOCABULARY as i64 - 100);
        let ids = ids.add_scalar(5).reshape([batch, text]);
        let mask = ids.ones_like();
        Self { image, ids, mask, size }
    }

    /// A seventh of the tokens masked, a quarter of the patches visible, half of the pairs torn apart.
    pub fn pretraining(&self, patch: usize) -> PretrainBatch {
        let (batch, device) = (self.size.batch, self.image.device());
        let tokens = batch * self.size.text;
        let positions: Vec<i64> = (0..tokens as i64).filter(|i| i % 7 == 1).collect();
        let positions = Tensor::<1, Int>::from_data(positions.as_slice(), &device);
        let flat = self.ids.clone().reshape([tokens]);
        let patches = (self.size.image / patch).pow(2);
        let kept = patches / 4;
        let places = Tensor::<1, Int>::arange(0..patches as i64, &device).unsqueeze::<2>().repeat_dim(0, batch);
        // As in training, half of the pairs match, rounded down.
        let torn = batch - batch / 2;
        let labels = Tensor::<1, Int>::arange(0..batch as i64, &device).lower_elem((batch - torn) as i64).int();
        PretrainBatch {
            image: self.image.clone(),
            text_ids: self.ids.clone(),
            text_mask: self.mask.clone(),
            mlm: Some(MaskedTokens {
                ids: self.ids.clone(),
                positions: positions.clone(),
                targets: flat.select(0, positions),
            }),
            mim: Some(VisiblePatches {
                ids_keep: places.clone().narrow(1, 0, kept),
                ids_restore: places.clone(),
                mask: places.greater_equal_elem(kept as i64).float(),
            }),
            itm: Some(Matching {
                false_image: self.image.clone().narrow(0, 0, torn),
                // Matched pairs first; the others look at a false image.
                rows: Tensor::<1, Int>::arange(0..batch as i64, &device)
                    + labels.clone().equal_elem(0).int().mul_scalar(torn as i64),
                labels,
            }),
        }
    }
}
