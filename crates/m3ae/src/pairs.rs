//! Scores of many images with many texts: each image and text is encoded once, and only the fusion runs for each pair.

use m3ae_model::{FusionInput, FusionRequest, FusionText};

use crate::error::ModelError;
use crate::model::{EncodedImages, Model, read_rows};

/// Texts encoded for the fusion, in blocks of similar length.
#[derive(Clone, Debug)]
pub struct EncodedTexts {
    blocks: Vec<Block>,
    count: usize,
}

#[derive(Clone, Debug)]
struct Block {
    /// The texts' indices.
    numbers: Vec<usize>,
    text: FusionText,
}

impl EncodedTexts {
    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Model {
    /// Encodes texts for the fusion in batches of similar length.
    ///
    /// # Errors
    /// A text is empty.
    pub fn encode_texts(&self, texts: &[&str]) -> Result<EncodedTexts, ModelError> {
        let ids = texts.iter().map(|text| Ok(self.tokens(text)?.ids)).collect::<Result<Vec<_>, ModelError>>()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&number| ids[number].len());
        let block = |numbers: &[usize]| {
            let texts = self.texts(&numbers.iter().map(|&number| ids[number].clone()).collect::<Vec<_>>());
            Block { numbers: numbers.to_vec(), text: self.network.fusion_text(texts) }
        };
        Ok(EncodedTexts { blocks: order.chunks(self.batch_size).map(block).collect(), count: texts.len() })
    }

    /// The score of one image with every text, in the texts' order. Equals the score of
    /// [`match_scores`](Self::match_scores).
    ///
    /// # Errors
    /// The model has neither a retrieval nor a matching head, there is no such image, or a score is not finite.
    pub fn score_image(
        &self,
        images: &EncodedImages,
        image: usize,
        texts: &EncodedTexts,
    ) -> Result<Vec<f32>, ModelError> {
        self.check_match_head()?;
        let count = images.len();
        if image >= count {
            return Err(ModelError::NoSuchImage { index: image, count });
        }
        let mut scores = vec![0.0; texts.count];
        for Block { numbers, text } in &texts.blocks {
            let image = images.rows(&vec![image; numbers.len()], &self.device); // [B, 1+N, D]
            let input = FusionInput { text: text.clone(), image };
            let pooled = self.network.fuse(input, FusionRequest::new().pooled(..)).pooled;
            let rows = read_rows(self.match_logits(pooled), "matching score")?;
            for (&number, row) in numbers.iter().zip(&rows) {
                scores[number] = self.match_of(row).score;
            }
        }
        Ok(scores)
    }
}
