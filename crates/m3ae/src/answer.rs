//! Questions about images.

use m3ae_image::Image;
use m3ae_model::ClassifierHead;
use m3ae_text::Encoding;

use crate::error::ModelError;
use crate::model::{EncodedImages, Model};

/// One of the answers that the model can give.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The answer.
    pub answer: String,
    /// Its class, from 0.
    pub class: usize,
    /// Its probability, in `0..=1`. The head is trained with one sigmoid per answer, so the probabilities of all
    /// answers need not sum to one.
    pub probability: f64,
}

/// The model's answers to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The most probable answers, best first.
    pub top: Vec<Answer>,
    /// Whether the end of the question was cut off because it is longer than the model reads.
    pub truncated: bool,
}

impl Model {
    /// Answers a question about an image: the `k` most probable answers.
    ///
    /// # Errors
    /// The model has no question-answering head or no names for its answers, the question is empty, the image has too
    /// few pixels, or the model's scores are not finite.
    pub fn answer(&self, image: &Image, question: &str, k: usize) -> Result<Answers, ModelError> {
        let images = self.encode_images(std::slice::from_ref(image))?;
        let mut answers = self.answer_encoded(&images, &[(0, question)], k)?;
        answers.pop().ok_or(ModelError::EmptyText)
    }

    /// Answers questions about images. Each question comes with the index of its image. Each image is encoded once.
    ///
    /// # Errors
    /// As [`answer`](Self::answer), or a question names an image that does not exist.
    pub fn answer_batch(
        &self,
        images: &[Image],
        questions: &[(usize, &str)],
        k: usize,
    ) -> Result<Vec<Answers>, ModelError> {
        self.answer_encoded(&self.encode_images(images)?, questions, k)
    }

    /// As [`answer_batch`](Self::answer_batch), for images that are already encoded.
    ///
    /// # Errors
    /// As [`answer_batch`](Self::answer_batch).
    pub fn answer_encoded(
        &self,
        images: &EncodedImages,
        questions: &[(usize, &str)],
        k: usize,
    ) -> Result<Vec<Answers>, ModelError> {
        let names = self.answer_names()?;
        let mut truncated = Vec::with_capacity(questions.len());
        let mut pairs = Vec::with_capacity(questions.len());
        for &(image, question) in questions {
            let Encoding { ids, truncated: cut } = self.tokens(question)?;
            truncated.push(cut);
            pairs.push((image, ids));
        }
        let logits = self.vqa_logits(images, &pairs)?;
        let answers = logits.iter().zip(truncated);
        Ok(answers.map(|(logits, truncated)| Answers { top: top_answers(logits, names, k), truncated }).collect())
    }

    /// The question-answering head's logits for pairs of an image's index and a question's ids: for each pair, a row
    /// with one value per answer.
    ///
    /// # Errors
    /// The model has no such head, there is no such image, or a logit is not finite.
    pub fn vqa_logits(&self, images: &EncodedImages, pairs: &[(usize, Vec<u32>)]) -> Result<Vec<Vec<f32>>, ModelError> {
        let head = self.head("question-answering", self.network.vqa_head.as_ref())?;
        self.in_batches(images, pairs, "answers' score", |cls| head.forward(cls, self.network.precision()))
    }

    /// The classification head's logits, as [`vqa_logits`](Self::vqa_logits).
    ///
    /// # Errors
    /// As [`vqa_logits`](Self::vqa_logits).
    pub fn class_logits(
        &self,
        images: &EncodedImages,
        pairs: &[(usize, Vec<u32>)],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let head = self.head("classification", self.network.cls_head.as_ref())?;
        self.in_batches(images, pairs, "classes' score", |cls| head.forward(cls, self.network.precision()))
    }

    /// Names the classes of the question-answering head.
    ///
    /// # Errors
    /// The model has no such head, or another number of classes.
    pub fn with_answers(mut self, answers: Vec<String>) -> Result<Self, ModelError> {
        let head = self.head("question-answering", self.network.vqa_head.as_ref())?;
        let classes = head.classifier.weight.dims()[1];
        if classes != answers.len() {
            return Err(ModelError::OtherAnswers { model: self.path, classes, answers: answers.len() });
        }
        self.answers = Some(answers);
        Ok(self)
    }

    fn head<'a>(&self, name: &'static str, head: Option<&'a ClassifierHead>) -> Result<&'a ClassifierHead, ModelError> {
        let advice = "a model has one after it was fine-tuned for that task";
        head.ok_or_else(|| self.missing(name, advice))
    }

    pub(crate) fn missing(&self, head: &'static str, advice: &'static str) -> ModelError {
        ModelError::MissingHead { model: self.path.clone(), head, advice }
    }

    /// The names of the question-answering head's classes.
    pub(crate) fn answer_names(&self) -> Result<&[String], ModelError> {
        let classes = self.head("question-answering", self.network.vqa_head.as_ref())?.classifier.weight.dims()[1];
        self.answers.as_deref().ok_or_else(|| ModelError::NoAnswers { model: self.path.clone(), classes })
    }
}

/// The `k` largest logits as answers, best first; classes beyond the names are left out. Of equal logits the lower
/// class comes first, as in the reference's argmax.
#[must_use]
pub fn top_answers(logits: &[f32], names: &[String], k: usize) -> Vec<Answer> {
    let mut classes: Vec<usize> = (0..logits.len().min(names.len())).collect();
    classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let answer = |class: usize| Answer {
        answer: names[class].clone(),
        class,
        probability: 1.0 / (1.0 + (-f64::from(logits[class])).exp()),
    };
    classes.into_iter().take(k).map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_logits_come_first_and_of_equals_the_lower_class() {
        let names = ["a", "b", "c", "d"].map(String::from);
        let found = top_answers(&[0.0, 2.0, -1.0, 2.0], &names, 3);
        assert_eq!(found.iter().map(|answer| answer.class).collect::<Vec<_>>(), [1, 3, 0]);
        assert!(
            (found[2].probability - 0.5).abs() < 1e-12
                && (found[0].probability - 0.880_797_077_977_882_3).abs() < 1e-12
        );
    }
}
