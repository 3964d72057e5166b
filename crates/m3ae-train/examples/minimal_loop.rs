//! Pre-training on one page, with the crates alone: synthetic data, a small model, batches with masks, losses, AdamW.
//! [`train`](m3ae_train::train) adds recipes, validation, checkpoints and resuming.
//!
//! ```text
//! cargo run --release -p m3ae-train --example minimal_loop
//! ```

use std::env;
use std::error::Error;

use burn::optim::GradientsParams;
use burn::prelude::*;
use m3ae_data::{Loader, LoaderConfig};
use m3ae_masking::TextMaskConfig;
use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3aeConfig, MimConfig, TextConfig};
use m3ae_phantom::PhantomConfig;
use m3ae_prepare::{phantom, read_roco};
use m3ae_text::Tokenizer;
use m3ae_train::{AdamW, AdamWConfig, Batcher, BatcherConfig, ObjectiveWeights, pretrain_step};

/// Image side in pixels.
const SIDE: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::default().autodiff();
    device.seed(0);

    // Data: a synthetic radiology set, which is made the first time.
    let sizes = PhantomConfig { side: SIDE as u32, train: 32, val: 4, test: 1, ..PhantomConfig::default() };
    let set = phantom::ensure(&env::temp_dir().join("m3ae-minimal-loop"), &sizes)?;
    let tokenizer = Tokenizer::load(&set.tokenizer)?;
    let captions = read_roco(&set.roco, "train")?.samples;
    let options = LoaderConfig { batch_size: 8, side: SIDE, max_length: 40, false_images: true, ..Default::default() };
    let loader = Loader::new(&captions, &tokenizer, &options)?;

    // Model: the paper's, with small sizes.
    let text = TextConfig::new().with_vocab_size(tokenizer.vocab_size()).with_width(64).with_heads(4);
    let config = M3aeConfig::new(
        ClipVisionConfig::new().with_image_size(SIDE).with_patch_size(8).with_width(64).with_layers(2),
        text.with_layers(2).with_intermediate(256),
        FusionConfig::new().with_width(64).with_heads(4).with_layers(2),
        MimConfig::new().with_width(32).with_heads(2).with_layers(1).with_layer(Some(1)),
        HeadsConfig::new(),
    );
    let mut model = config.init(&device)?;

    // Training: masks, losses, gradients, update.
    let objectives = ObjectiveWeights::default();
    let (patches, text) = (config.vision.patches(), TextMaskConfig::default());
    let masking = BatcherConfig { seed: 0, image_size: SIDE, patches, mask_ratio: 0.75, text, objectives };
    let batcher = Batcher::new(masking, &tokenizer)?;
    let mut optimizer = AdamW::new(AdamWConfig::published(1e-3));
    let mut step = 0;
    for epoch in 0..5 {
        for samples in loader.epoch(epoch, 0) {
            let batch = batcher.batch(&samples?, step, &device)?;
            let output = pretrain_step(&model, &batch)?;
            let gradients = GradientsParams::from_grads(output.total(objectives).backward(), &model);
            model = optimizer.step(model, gradients, 1.0);
            step += 1;
            let losses = output.losses().into_iter().map(|(name, loss)| Ok((name, loss.try_into_scalar::<f32>()?)));
            println!("epoch {epoch}, step {step}: {:.3?}", losses.collect::<Result<Vec<_>, Box<dyn Error>>>()?);
        }
    }
    Ok(())
}
