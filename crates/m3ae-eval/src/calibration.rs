//! Calibration: whether the model's probabilities agree with how often it is right.

use serde::{Deserialize, Serialize};

use crate::error::EvalError;

/// The number of bins of the expected calibration error that is usual in the literature.
pub const CALIBRATION_BINS: usize = 15;

/// Calibration over equal-width bins of the confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: the mean over bins of |accuracy − confidence|, weighted by count. In `0..=1`.
    pub ece: f64,
    /// Mean confidence.
    pub confidence: f64,
    /// Mean score.
    pub accuracy: f64,
    /// All bins, empty ones too.
    pub bins: Vec<ReliabilityBin>,
}

/// Items whose confidence is in `(from, to]`; 0 is in the first bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Where the bin begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// The number of items.
    pub count: usize,
    /// Mean confidence of the items; 0 if there are none.
    pub confidence: f64,
    /// Mean score of the items; 0 if there are none.
    pub accuracy: f64,
}

/// Calibration of items given as (confidence, score), both in `0..=1`, over `bins` bins of equal width, closed on the
/// right.
///
/// # Errors
/// There is no item or no bin, or a number is not in `0..=1`.
pub fn calibration(items: &[(f64, f64)], bins: usize) -> Result<Calibration, EvalError> {
    if items.is_empty() || bins == 0 {
        return Err(EvalError::Nothing { what: if bins == 0 { "bin" } else { "item" } });
    }
    let mut sums = vec![(0, 0.0, 0.0); bins];
    for (number, &(confidence, score)) in items.iter().enumerate() {
        // A softmax in single precision can exceed 1 by rounding.
        if !(0.0..=1.0 + 1e-6).contains(&confidence) || !(0.0..=1.0).contains(&score) {
            let problem = format!("confidence {confidence}, score {score}: both are from 0 to 1");
            return Err(EvalError::item(format!("item {number}"), problem));
        }
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        let (count, confidences, scores) = &mut sums[bin];
        *count += 1;
        *confidences += confidence;
        *scores += score;
    }
    let total = items.len() as f64;
    let bin = |(number, &(count, confidences, scores)): (usize, &(usize, f64, f64))| {
        let n = f64::max(count as f64, 1.0);
        let (from, to) = (number as f64 / bins as f64, (number + 1) as f64 / bins as f64);
        ReliabilityBin { from, to, count, confidence: confidences / n, accuracy: scores / n }
    };
    let bins: Vec<ReliabilityBin> = sums.iter().enumerate().map(bin).collect();
    let gap = |bin: &ReliabilityBin| bin.count as f64 / total * (bin.accuracy - bin.confidence).abs();
    Ok(Calibration {
        ece: bins.iter().map(gap).sum(),
        confidence: items.iter().map(|item| item.0).sum::<f64>() / total,
        accuracy: items.iter().map(|item| item.1).sum::<f64>() / total,
        bins,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::pseudo;

    #[test]
    fn two_bins_by_hand() {
        // (0, ½]: confidences 0.5, 0.3; one right: |½ − 0.4| · ½. (½, 1]: 0.9, 0.7; both right: |1 − 0.8| · ½.
        let result = calibration(&[(0.5, 1.0), (0.3, 0.0), (0.9, 1.0), (0.7, 1.0)], 2).unwrap();
        assert!((result.ece - 0.15).abs() < 1e-12, "{result:?}");
        assert_eq!([result.bins[0].count, result.bins[1].count], [2, 2]);
        assert_eq!(calibration(&[(0.0, 0.0)], 15).unwrap().bins[0].count, 1);
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let items: Vec<(f64, f64)> =
            (0..500).map(|i| (pseudo(i), f64::from(u8::from(pseudo(i + 1_000) < 0.2 + 0.6 * pseudo(i))))).collect();
        let result = calibration(&items, CALIBRATION_BINS).unwrap();
        assert!((result.ece - ECE).abs() < 1e-12, "{}", result.ece);
        assert!(
            (result.bins[3].accuracy - BIN_3.0).abs() < 1e-12 && (result.bins[3].confidence - BIN_3.1).abs() < 1e-12
        );
    }
    /// From `sklearn.calibration.calibration_curve(n_bins=15)`, weighted by counts.
    const ECE: f64 = 0.106_295_341_922_695_73;
    const BIN_3: (f64, f64) = (0.380_952_380_952_380_93, 0.233_871_348_341_120_42);

    #[test]
    fn rejects_what_is_no_probability() {
        for item in [(f64::NAN, 1.0), (1.1, 1.0), (-0.1, 0.0), (0.5, f64::NAN), (0.5, 2.0)] {
            assert!(calibration(&[(0.5, 1.0), item], 15).unwrap_err().to_string().contains("item 1"), "{item:?}");
        }
        assert!(calibration(&[], 15).is_err() && calibration(&[(0.5, 1.0)], 0).is_err());
    }

    proptest! {
        #[test]
        fn the_error_is_at_least_the_overall_gap_and_counts_add_up(
            items in prop::collection::vec((0.0_f64..=1.0, 0.0_f64..=1.0), 1..200), bins in 1_usize..30,
        ) {
            let result = calibration(&items, bins).unwrap();
            prop_assert!((result.accuracy - result.confidence).abs() <= result.ece + 1e-9 && result.ece <= 1.0);
            prop_assert_eq!(result.bins.iter().map(|bin| bin.count).sum::<usize>(), items.len());
            for bin in result.bins.iter().filter(|bin| bin.count > 0) {
                prop_assert!(bin.from - 1e-9 <= bin.confidence && bin.confidence <= bin.to + 1e-9);
            }
        }
    }
}
