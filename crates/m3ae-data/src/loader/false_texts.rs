//! Texts that do not belong to a sample's image.

use std::collections::HashMap;

use m3ae_random::Generator;

use super::Sample;
use crate::DataError;

/// The samples ordered by image, so that those of other images are found by counting.
pub(super) struct FalseTexts {
    /// Samples' numbers; those of one image stand together.
    by_image: Vec<usize>,
    /// Where an image's samples begin in it, and the end.
    starts: Vec<usize>,
}

impl FalseTexts {
    /// # Errors
    /// When there is a sample whose text, in tokens, is the text of every other image too: it has no false one.
    pub fn new(samples: &[Sample], images: usize) -> Result<Self, DataError> {
        let mut by_image: Vec<usize> = (0..samples.len()).collect();
        by_image.sort_by_key(|&sample| samples[sample].image);
        let mut starts = vec![0; images + 1];
        samples.iter().for_each(|sample| starts[sample.image + 1] += 1);
        for image in 0..images {
            starts[image + 1] += starts[image];
        }
        let texts = Self { by_image, starts };

        let mut same_text: HashMap<&[u32], usize> = HashMap::new();
        let mut same_both: HashMap<(usize, &[u32]), usize> = HashMap::new();
        for sample in samples {
            *same_text.entry(&sample.text_ids).or_default() += 1;
            *same_both.entry((sample.image, &sample.text_ids)).or_default() += 1;
        }
        for sample in samples {
            let elsewhere =
                same_text[sample.text_ids.as_slice()] - same_both[&(sample.image, sample.text_ids.as_slice())];
            if texts.others(sample) == elsewhere {
                let problem = format!(
                    "not 0, but no other image has another text than sample {:?}: choose 0, or add other texts",
                    sample.id
                );
                return Err(DataError::config("false_texts", problem));
            }
        }
        Ok(texts)
    }

    /// How many samples have another image.
    fn others(&self, sample: &Sample) -> usize {
        self.by_image.len() - (self.starts[sample.image + 1] - self.starts[sample.image])
    }

    /// `count` texts, each uniform over the samples of other images whose text is another one.
    pub fn draw(&self, samples: &[Sample], own: &Sample, count: usize, generator: &mut Generator) -> Vec<Vec<u32>> {
        let mut one = || loop {
            // Of the others, those behind its image's own have moved up.
            let drawn = generator.below(self.others(own));
            let skip = if drawn < self.starts[own.image] { 0 } else { self.by_image.len() - self.others(own) };
            let text = &samples[self.by_image[drawn + skip]].text_ids;
            // One of the others qualifies, as was made sure of: this ends.
            if *text != own.text_ids {
                return text.clone();
            }
        };
        (0..count).map(|_| one()).collect()
    }
}
