//! Retrieval between images and texts.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Clusters, Estimate};
use crate::error::EvalError;

/// Ranks up to which recall is reported.
pub const RECALL_AT: [usize; 3] = [1, 5, 10];

/// The match score of every image with every text.
#[derive(Clone, Copy, Debug)]
pub struct ScoreMatrix<'a> {
    /// Row by row: `[images, texts]`; higher means a better match.
    pub scores: &'a [f32],
    /// The number of images.
    pub images: usize,
    /// For each text, the index of its image. Every image has at least one text.
    pub image_of_text: &'a [usize],
}

/// One direction of retrieval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalDirection {
    /// Share of queries whose best correct candidate is among the first 1, 5, 10 ([`RECALL_AT`]).
    pub recall: [Estimate; 3],
    /// Median over queries of the rank, from 1, of the best correct candidate.
    pub median_rank: Estimate,
    /// The number of candidates of each query.
    pub candidates: usize,
}

/// Both directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalScores {
    /// Queries are images, candidates texts (TR in the literature).
    pub image_to_text: RetrievalDirection,
    /// Queries are texts, candidates images (IR).
    pub text_to_image: RetrievalDirection,
}

/// Recall and median rank in both directions.
///
/// The rank of a query is one more than the number of wrong candidates that score at least as high as its best correct
/// one. So **ties count against the model**: equal scores for everything give the last rank and not the first.
/// Intervals are over queries, and over images with all their texts.
///
/// # Errors
/// The numbers of scores, images and texts contradict each other, an image has no text, or a score is NaN.
pub fn retrieval_scores(matrix: &ScoreMatrix<'_>, bootstrap: &Bootstrap) -> Result<RetrievalScores, EvalError> {
    bootstrap.check()?;
    matrix.check()?;
    let (by_image, by_text) = matrix.ranks();
    let images: Vec<String> = (0..matrix.images).map(|image| image.to_string()).collect();
    let of_image = Clusters::new(images.iter().map(String::as_str));
    let of_text = Clusters::new(matrix.image_of_text.iter().map(|&image| images[image].as_str()));
    Ok(RetrievalScores {
        image_to_text: direction("image-to-text", &by_image, matrix.image_of_text.len(), &of_image, bootstrap),
        text_to_image: direction("text-to-image", &by_text, matrix.images, &of_text, bootstrap),
    })
}

impl ScoreMatrix<'_> {
    fn check(&self) -> Result<(), EvalError> {
        let texts = self.image_of_text.len();
        if self.images == 0 || texts == 0 {
            return Err(EvalError::Nothing { what: if texts == 0 { "text" } else { "image" } });
        }
        let expected = self.images * texts;
        if self.scores.len() != expected {
            return Err(EvalError::Count { what: "scores of image-text pairs", found: self.scores.len(), expected });
        }
        if let Some(pair) = self.scores.iter().position(|score| score.is_nan()) {
            let pair = format!("image {} with text {}", pair / texts, pair % texts);
            return Err(EvalError::item(pair, "the score is NaN"));
        }
        let mut has_text = vec![false; self.images];
        for (text, &image) in self.image_of_text.iter().enumerate() {
            let Some(has_text) = has_text.get_mut(image) else {
                let problem = format!("belongs to image {image}, but there are {} images, from 0", self.images);
                return Err(EvalError::item(format!("text {text}"), problem));
            };
            *has_text = true;
        }
        match has_text.iter().position(|has_text| !has_text) {
            Some(image) => Err(EvalError::item(format!("image {image}"), "has no text: leave it out")),
            None => Ok(()),
        }
    }

    /// The rank, from 1, of each image's best correct text, and of each text's image.
    fn ranks(&self) -> (Vec<usize>, Vec<usize>) {
        let texts = self.image_of_text.len();
        let rows = || self.scores.chunks_exact(texts).enumerate();
        let of_pair: Vec<f32> =
            self.image_of_text.iter().enumerate().map(|(text, &image)| self.scores[image * texts + text]).collect();
        let mut best = vec![f32::NEG_INFINITY; self.images];
        for (&image, &score) in self.image_of_text.iter().zip(&of_pair) {
            best[image] = best[image].max(score);
        }
        let (mut by_image, mut by_text) = (vec![1; self.images], vec![1; texts]);
        for (image, row) in rows() {
            for (text, &score) in row.iter().enumerate().filter(|(text, _)| self.image_of_text[*text] != image) {
                by_image[image] += usize::from(score >= best[image]);
                by_text[text] += usize::from(score >= of_pair[text]);
            }
        }
        (by_image, by_text)
    }
}

fn direction(
    name: &str,
    ranks: &[usize],
    candidates: usize,
    clusters: &Clusters,
    bootstrap: &Bootstrap,
) -> RetrievalDirection {
    let recall = RECALL_AT.map(|at| {
        let found: Vec<f64> = ranks.iter().map(|&rank| f64::from(u8::from(rank <= at))).collect();
        bootstrap.mean(&format!("{name}/recall@{at}"), &found, clusters)
    });
    let mut drawn_ranks = Vec::new();
    let median_rank = bootstrap.statistic(&format!("{name}/median-rank"), clusters, |drawn| {
        drawn_ranks.clear();
        drawn_ranks.extend(drawn.iter().map(|&query| ranks[query]));
        median(&mut drawn_ranks)
    });
    RetrievalDirection { recall, median_rank, candidates }
}

/// The median of non-empty values; the mean of the middle two for an even number of values.
fn median(values: &mut [usize]) -> f64 {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable(middle);
    match below.iter().max() {
        Some(&lower) if even => f64::midpoint(lower as f64, *upper as f64),
        _ => *upper as f64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::pseudo;

    const QUICK: Bootstrap = Bootstrap { resamples: 400, level: 0.95, seed: 0 };

    fn recalls(direction: &RetrievalDirection) -> [f64; 3] {
        [0, 1, 2].map(|at| direction.recall[at].value)
    }

    #[test]
    fn three_images_with_four_texts_by_hand() {
        // Image 0 has texts 0 and 3.
        let scores = [0.1, 0.5, 0.2, 0.9, 0.8, 0.7, 0.3, 0.6, 0.4, 0.4, 0.4, 0.4];
        let matrix = ScoreMatrix { scores: &scores, images: 3, image_of_text: &[0, 1, 2, 0] };
        // Image 0: text 3 is best. Image 1: text 0 is before its text 1. Image 2: everything ties, and is before its
        // text. Text 0: images 1 and 2 are before image 0; text 1: none before; text 2: none before image 2; text 3:
        // none before.
        assert_eq!(matrix.ranks(), (vec![1, 2, 4], vec![3, 1, 1, 1]));
        let scores = retrieval_scores(&matrix, &QUICK).unwrap();
        assert_eq!(recalls(&scores.image_to_text), [1.0 / 3.0, 1.0, 1.0]);
        assert_eq!(recalls(&scores.text_to_image), [0.75, 1.0, 1.0]);
        assert_eq!((scores.image_to_text.median_rank.value, scores.text_to_image.median_rank.value), (2.0, 1.0));
        assert_eq!((scores.image_to_text.candidates, scores.text_to_image.candidates), (4, 3));
        let items = scores.text_to_image.recall[0];
        assert_eq!((items.items, items.images), (4, 3));
    }

    #[test]
    fn a_model_that_knows_nothing_has_no_luck() {
        let image_of_text: Vec<usize> = (0..20).collect();
        let matrix = ScoreMatrix { scores: &[0.5; 400], images: 20, image_of_text: &image_of_text };
        let scores = retrieval_scores(&matrix, &QUICK).unwrap();
        assert_eq!(recalls(&scores.image_to_text), [0.0; 3]);
        assert_eq!(scores.text_to_image.median_rank.value, 20.0);
    }

    #[test]
    fn agrees_with_numpy() {
        // 30 images with two texts each: 2i and 2i + 1; right pairs score higher on average.
        let image_of_text: Vec<usize> = (0..60).map(|text| text / 2).collect();
        let score = |pair: usize| {
            let right = image_of_text[pair % 60] == pair / 60;
            (pseudo(pair) + if right { 0.6 } else { 0.0 }) as f32
        };
        let scores: Vec<f32> = (0..1_800).map(score).collect();
        let scores =
            retrieval_scores(&ScoreMatrix { scores: &scores, images: 30, image_of_text: &image_of_text }, &QUICK)
                .unwrap();
        let numbers = |direction: &RetrievalDirection| {
            (recalls(direction).map(|recall| (recall * 60.0).round() as usize), direction.median_rank.value)
        };
        assert_eq!((numbers(&scores.image_to_text), numbers(&scores.text_to_image)), (IMAGE_TO_TEXT, TEXT_TO_IMAGE));
    }
    /// Recalls in sixtieths, and the median rank.
    const IMAGE_TO_TEXT: ([usize; 3], f64) = ([46, 48, 52], 1.0);
    const TEXT_TO_IMAGE: ([usize; 3], f64) = ([39, 41, 57], 1.0);

    #[test]
    fn rejects_matrices_that_contradict_themselves() {
        let error = |scores: &[f32], images, image_of_text: &[usize]| {
            retrieval_scores(&ScoreMatrix { scores, images, image_of_text }, &QUICK).unwrap_err().to_string()
        };
        assert!(error(&[0.0; 3], 2, &[0, 1]).contains("3, but 4 were expected"));
        assert!(error(&[0.0, f32::NAN, 0.0, 0.0], 2, &[0, 1]).contains("image 0 with text 1: the score is NaN"));
        assert!(error(&[0.0; 4], 2, &[0, 2]).contains("text 1: belongs to image 2"));
        assert!(error(&[0.0; 4], 2, &[1, 1]).contains("image 0: has no text"));
        assert!(error(&[], 0, &[]).contains("no text"));
    }

    proptest! {
        #[test]
        fn ranks_are_within_the_candidates_and_worse_for_ties(
            levels in prop::collection::vec(0_u8..4, 48), owners in prop::collection::vec(0_usize..6, 2),
        ) {
            // Six images: each has one text, and two more texts go anywhere.
            let image_of_text: Vec<usize> = (0..6).chain(owners).collect();
            let scores: Vec<f32> = levels.iter().map(|&level| f32::from(level)).collect();
            let ranks = |scores: &[f32]| ScoreMatrix { scores, images: 6, image_of_text: &image_of_text }.ranks();
            let (by_image, by_text) = ranks(&scores);
            prop_assert!(by_image.iter().all(|rank| (1..=8).contains(rank)) && by_text.iter().all(|rank| (1..=6).contains(rank)));
            // A hair more for right pairs breaks ties in the model's favour: no rank can become worse.
            let favoured: Vec<f32> =
                (0..48).map(|pair| scores[pair] + if image_of_text[pair % 8] == pair / 8 { 0.1 } else { 0.0 }).collect();
            let better = ranks(&favoured);
            prop_assert!(better.0.iter().zip(&by_image).all(|(a, b)| a <= b) && better.1.iter().zip(&by_text).all(|(a, b)| a <= b));
        }
    }
}
