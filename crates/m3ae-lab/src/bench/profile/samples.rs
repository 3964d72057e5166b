//! What the loader would hand over.

use anyhow::Result;
use burn::prelude::Device;
use m3ae_data::CaptionBatch;
use m3ae_masking::TextMaskConfig;
use m3ae_model::M3aeConfig;
use m3ae_text::Tokenizer;
use m3ae_train::{Batcher, BatcherConfig, ObjectiveWeights, PretrainBatch};

use crate::bench::synthetic::caption;
use crate::bench::work::Size;

/// Loaded samples, to make batches of.
pub struct Samples {
    batcher: Batcher,
    loaded: CaptionBatch,
}

impl Samples {
    /// As many and as large as a step's.
    pub fn new(config: &M3aeConfig, size: Size) -> Result<Self> {
        let captions: Vec<String> = (0..size.batch).map(caption).collect();
        let tokenizer = Tokenizer::train(captions.iter().map(String::as_str), 1000)?;
        let ids = |caption: &String| Ok(tokenizer.encode(caption, size.text.max(2))?.ids);
        let pixels = vec![0.0; size.batch * 3 * size.image * size.image];
        let loaded = CaptionBatch {
            epoch: 0,
            index: 0,
            sample_ids: (0..size.batch).map(|number| number.to_string()).collect(),
            false_images: Some(pixels.clone()),
            images: pixels,
            text_ids: captions.iter().map(ids).collect::<Result<_>>()?,
            false_texts: None,
            skipped: Vec::new(),
        };
        let batcher = BatcherConfig {
            seed: 0,
            image_size: size.image,
            patches: config.vision.patches(),
            mask_ratio: 0.75,
            text: TextMaskConfig::default(),
            objectives: ObjectiveWeights::default(),
        };
        Ok(Self { batcher: Batcher::new(batcher, &tokenizer)?, loaded })
    }

    /// Masks, padding and matching, and on to the device.
    pub fn batch(&self, step: u64, device: &Device) -> Result<PretrainBatch> {
        Ok(self.batcher.batch(&self.loaded, step, device)?)
    }
}
