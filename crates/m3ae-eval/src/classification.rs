//! Classification into one of several classes.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Clusters, Estimate};
use crate::confusion::Confusion;
use crate::error::EvalError;

/// One classified sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labelled {
    /// The image's id; samples of one image are resampled together.
    pub image_id: String,
    /// The true class.
    pub truth: usize,
    /// The class that the model predicted.
    pub predicted: usize,
}

/// The scores of one class. A share of nothing (0/0) is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The class.
    pub name: String,
    /// Share of correct ones among samples predicted as this class.
    pub precision: f64,
    /// Share of correct ones among samples of this class.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// The number of samples of this class.
    pub support: usize,
}

/// Scores of a classification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationScores {
    /// The number of correctly classified samples.
    pub hits: usize,
    /// Share of correctly classified samples.
    pub accuracy: Estimate,
    /// Mean F1 over classes that occur as truth or as prediction; in a resample, over those that occur in it.
    pub macro_f1: Estimate,
    /// Every class, including those that do not occur.
    pub classes: Vec<ClassScore>,
    /// Truth against prediction, over all classes.
    pub confusion: Confusion,
}

/// Scores samples over the classes named `names`.
///
/// # Errors
/// There is no sample, or a class number is not below the number of names.
pub fn classification_scores(
    samples: &[Labelled],
    names: &[String],
    bootstrap: &Bootstrap,
) -> Result<ClassificationScores, EvalError> {
    bootstrap.check()?;
    if samples.is_empty() {
        return Err(EvalError::Nothing { what: "sample" });
    }
    for (number, sample) in samples.iter().enumerate() {
        if let Some(class) = [sample.truth, sample.predicted].into_iter().find(|&class| class >= names.len()) {
            let problem = format!("class {class}, but there are {} classes, from 0", names.len());
            return Err(EvalError::item(format!("sample {number} (image {})", sample.image_id), problem));
        }
    }
    let clusters = Clusters::new(samples.iter().map(|sample| sample.image_id.as_str()));
    let right: Vec<f64> = samples.iter().map(|sample| f64::from(u8::from(sample.truth == sample.predicted))).collect();
    let macro_f1 = |drawn: &[usize]| {
        let tallies = tallies(drawn.iter().map(|&item| &samples[item]), names.len());
        let occurring = tallies.iter().filter(|tally| tally.support + tally.given > 0);
        occurring.clone().map(Tally::f1).sum::<f64>() / occurring.count() as f64
    };
    let class = |(name, tally): (&String, Tally)| ClassScore {
        name: name.clone(),
        precision: share(tally.hits, tally.given),
        recall: share(tally.hits, tally.support),
        f1: tally.f1(),
        support: tally.support,
    };
    Ok(ClassificationScores {
        hits: samples.iter().filter(|sample| sample.truth == sample.predicted).count(),
        accuracy: bootstrap.mean("accuracy", &right, &clusters),
        macro_f1: bootstrap.statistic("macro-f1", &clusters, macro_f1),
        classes: names.iter().zip(tallies(samples.iter(), names.len())).map(class).collect(),
        confusion: Confusion::of_classes(names.to_vec(), samples.iter().map(|sample| (sample.truth, sample.predicted))),
    })
}

/// The counts of one class.
#[derive(Clone, Copy, Default)]
struct Tally {
    hits: usize,
    /// Samples predicted as this class.
    given: usize,
    /// Samples of this class.
    support: usize,
}

impl Tally {
    fn f1(&self) -> f64 {
        share(2 * self.hits, self.given + self.support)
    }
}

fn tallies<'a>(samples: impl Iterator<Item = &'a Labelled>, classes: usize) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); classes];
    for sample in samples {
        tallies[sample.truth].support += 1;
        tallies[sample.predicted].given += 1;
        tallies[sample.truth].hits += usize::from(sample.truth == sample.predicted);
    }
    tallies
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::{image_of, pseudo};

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("class {i}")).collect()
    }

    fn samples(pairs: impl IntoIterator<Item = (usize, usize)>) -> Vec<Labelled> {
        let sample = |(i, (truth, predicted))| Labelled { image_id: image_of(i).to_string(), truth, predicted };
        pairs.into_iter().enumerate().map(sample).collect()
    }

    const QUICK: Bootstrap = Bootstrap { resamples: 400, level: 0.95, seed: 0 };

    #[test]
    fn three_classes_by_hand() {
        // Class 0: two of three found, one wrongly given; class 1: found once; class 2 never occurs.
        let scores =
            classification_scores(&samples([(0, 0), (0, 0), (0, 1), (1, 0), (1, 1)]), &names(3), &QUICK).unwrap();
        assert_eq!((scores.hits, scores.accuracy.value), (3, 0.6));
        let [a, b, c] = &scores.classes[..] else { panic!("three classes") };
        assert_eq!((a.precision, a.recall, a.support), (2.0 / 3.0, 2.0 / 3.0, 3));
        assert_eq!((b.precision, b.recall, b.f1, b.support), (0.5, 0.5, 0.5, 2));
        assert_eq!((c.precision, c.recall, c.f1, c.support), (0.0, 0.0, 0.0, 0));
        assert!((scores.macro_f1.value - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(scores.confusion.counts, [[2, 1, 0], [1, 1, 0], [0, 0, 0]]);
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let class = |share: f64| (share * 7.0) as usize;
        let pairs = (0..300).map(|i| {
            let truth = class(pseudo(i).powi(2));
            (truth, if pseudo(i + 500) < 0.7 { truth } else { class(pseudo(i + 900)) })
        });
        let scores = classification_scores(&samples(pairs), &names(7), &QUICK).unwrap();
        assert!((scores.accuracy.value - ACCURACY).abs() < 1e-12);
        assert!((scores.macro_f1.value - MACRO_F1).abs() < 1e-12);
        let class = &scores.classes[3];
        let (precision, recall, f1, support) = CLASS_3;
        assert!((class.precision - precision).abs() < 1e-12 && (class.recall - recall).abs() < 1e-12);
        assert!((class.f1 - f1).abs() < 1e-12 && class.support == support);
        assert_eq!(scores.confusion.counts[0], ROW_0);
    }
    const ACCURACY: f64 = 0.766_666_666_666_666_7;
    /// `f1_score(average="macro", zero_division=0)`.
    const MACRO_F1: f64 = 0.740_780_182_078_794_5;
    const CLASS_3: (f64, f64, f64, usize) = (0.6, 0.7, 0.646_153_846_153_846_2, 30);
    const ROW_0: [usize; 7] = [86, 3, 4, 4, 7, 3, 4];

    #[test]
    fn rejects_classes_beyond_the_names_and_nothing() {
        let error = classification_scores(&samples([(0, 0), (1, 2)]), &names(2), &QUICK).unwrap_err();
        assert!(error.to_string().contains("sample 1 (image 31): class 2, but there are 2"), "{error}");
        assert!(classification_scores(&[], &names(2), &QUICK).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn accuracy_is_the_diagonal_and_recall_weighted_by_support(
            pairs in prop::collection::vec((0_usize..4, 0_usize..4), 1..60),
        ) {
            let scores = classification_scores(&samples(pairs.clone()), &names(4), &QUICK).unwrap();
            let diagonal: usize = (0..4).map(|class| scores.confusion.counts[class][class]).sum();
            prop_assert_eq!(diagonal, scores.hits);
            let recalled: f64 = scores.classes.iter().map(|class| class.recall * class.support as f64).sum();
            prop_assert!((recalled / pairs.len() as f64 - scores.accuracy.value).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&scores.macro_f1.value));
        }
    }
}
