//! Comparing two runs, question by question.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Clusters, Estimate};
use crate::error::EvalError;
use crate::vqa::{AnswerType, Prediction, check};

/// The group of all questions.
pub(crate) const OVERALL: &str = "overall";
/// The number of ids that an error names.
const NAMED_IDS: usize = 5;

/// Two runs on the same questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// `overall`, `closed`, `open` or a question type.
    pub group: String,
    /// Mean score of the first run.
    pub a: f64,
    /// Mean score of the second run.
    pub b: f64,
    /// Mean of `b − a` over questions.
    pub difference: Estimate,
    /// Questions that only the first run answered with the full score.
    pub only_a: usize,
    /// Questions that only the second run answered with the full score.
    pub only_b: usize,
    /// The share of resamples inside the interval.
    pub level: f64,
    /// Two-sided p-value of McNemar's exact test, which assumes independent questions.
    pub mcnemar_p: f64,
}

impl Comparison {
    /// Whether the interval of the difference (over images if there are several, else over questions) excludes 0.
    #[must_use]
    pub fn distinguishable(&self) -> bool {
        self.difference.interval().is_some_and(|interval| !interval.contains(0.0))
    }

    /// The result as a sentence.
    #[must_use]
    pub fn sentence(&self, name_a: &str, name_b: &str) -> String {
        let Self { group, a, b, difference, only_a, only_b, level, mcnemar_p } = self;
        let verdict = match (self.distinguishable(), difference.value > 0.0) {
            (false, _) => format!("no significant difference between {name_a} and {name_b}"),
            (true, true) => format!("{name_b} is better than {name_a}"),
            (true, false) => format!("{name_a} is better than {name_b}"),
        };
        let interval = difference.interval().map_or_else(
            || "no interval: too few questions".to_owned(),
            |interval| {
                let (low, high) = (interval.low * 100.0, interval.high * 100.0);
                format!("{:.0} % interval over images {low:+.2} to {high:+.2}", level * 100.0)
            },
        );
        format!(
            "{group}: {verdict}. {name_a} {:.2} %, {name_b} {:.2} %, difference {:+.2} points ({interval}; {} questions on \
             {} images). Only {name_a} answered {only_a} questions correctly, only {name_b} {only_b}: McNemar's exact test \
             p {}.",
            a * 100.0,
            b * 100.0,
            difference.value * 100.0,
            difference.items,
            difference.images,
            p_value(*mcnemar_p),
        )
    }
}

fn p_value(p: f64) -> String {
    if p < 1e-3 { "< 0.001".to_owned() } else { format!("= {p:.3}") }
}

/// Compares two runs on the same questions, matched by question id: overall, closed, open, and by question type. A
/// group that would repeat the overall one is left out.
///
/// # Errors
/// The questions or their correct answers differ (the first ids are named), or one run's predictions are not valid.
pub fn compare(a: &[Prediction], b: &[Prediction], bootstrap: &Bootstrap) -> Result<Vec<Comparison>, EvalError> {
    bootstrap.check()?;
    check(a)?;
    check(b)?;
    let pairs = pair(a, b)?;
    let group = |name: &str, member: &dyn Fn(&Prediction) -> bool| -> Option<Comparison> {
        let members: Vec<&(&Prediction, &Prediction)> = pairs.iter().filter(|pair| member(pair.0)).collect();
        let mean = |score: fn(&(&Prediction, &Prediction)) -> f64| {
            members.iter().map(|pair| score(pair)).sum::<f64>() / members.len() as f64
        };
        let differences: Vec<f64> = members.iter().map(|(a, b)| b.score - a.score).collect();
        let clusters = Clusters::new(members.iter().map(|(a, _)| a.image_id.as_str()));
        let only_a = members.iter().filter(|(a, b)| a.hit() && !b.hit()).count();
        let only_b = members.iter().filter(|(a, b)| b.hit() && !a.hit()).count();
        (!members.is_empty() && (name == OVERALL || members.len() < pairs.len())).then(|| Comparison {
            group: name.to_owned(),
            a: mean(|pair| pair.0.score),
            b: mean(|pair| pair.1.score),
            difference: bootstrap.mean(&format!("difference/{name}"), &differences, &clusters),
            only_a,
            only_b,
            level: bootstrap.level,
            mcnemar_p: exact_mcnemar(only_a, only_b),
        })
    };
    let closed = |prediction: &Prediction| prediction.answer_type == AnswerType::Closed;
    let parts = [group(OVERALL, &|_| true), group("closed", &closed), group("open", &|prediction| !closed(prediction))];
    let types: BTreeSet<&str> = pairs.iter().flat_map(|(a, _)| a.types()).collect();
    let by_type = types.into_iter().filter_map(|of| group(of, &|prediction| prediction.types().any(|own| own == of)));
    Ok(parts.into_iter().flatten().chain(by_type).collect())
}

/// Pairs of predictions for the same question, in the order of the first run.
pub(crate) fn pair<'a>(
    a: &'a [Prediction],
    b: &'a [Prediction],
) -> Result<Vec<(&'a Prediction, &'a Prediction)>, EvalError> {
    let by_id = |list: &'a [Prediction]| -> HashMap<i64, &'a Prediction> {
        list.iter().map(|prediction| (prediction.question_id, prediction)).collect()
    };
    let (ids_a, ids_b) = (by_id(a), by_id(b));
    let lacking = |list: &[Prediction], other: &HashMap<i64, &Prediction>| -> Vec<i64> {
        list.iter().map(|prediction| prediction.question_id).filter(|id| !other.contains_key(id)).collect()
    };
    let (not_in_b, not_in_a) = (lacking(a, &ids_b), lacking(b, &ids_a));
    if !(not_in_a.is_empty() && not_in_b.is_empty()) {
        let problem = [("second", not_in_b), ("first", not_in_a)]
            .into_iter()
            .filter(|(_, ids)| !ids.is_empty())
            .map(|(run, ids)| format!("the {run} run lacks {} questions, the first of them {}", ids.len(), named(&ids)))
            .collect::<Vec<_>>()
            .join("; ");
        return Err(EvalError::Unpaired { problem });
    }
    let pairs: Vec<_> = a.iter().filter_map(|a| Some((a, *ids_b.get(&a.question_id)?))).collect();
    let different = |(a, b): &&(&Prediction, &Prediction)| (&a.answers, &a.image_id) != (&b.answers, &b.image_id);
    let different: Vec<i64> = pairs.iter().filter(different).map(|(a, _)| a.question_id).collect();
    if !different.is_empty() {
        let problem = format!(
            "{} questions have other correct answers or images, the first of them {}",
            different.len(),
            named(&different)
        );
        return Err(EvalError::Unpaired { problem });
    }
    Ok(pairs)
}

fn named(ids: &[i64]) -> String {
    ids.iter().take(NAMED_IDS).map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// Two-sided p-value of McNemar's exact test: the probability that a fair coin thrown `only_a + only_b` times falls at
/// least as unevenly; 1 if the runs never differ.
#[must_use]
pub fn exact_mcnemar(only_a: usize, only_b: usize) -> f64 {
    let (few, throws) = (only_a.min(only_b), only_a + only_b);
    // Logarithms: 2^-throws is below the smallest double from 1075 throws on.
    let mut term = -(throws as f64) * std::f64::consts::LN_2;
    let mut tail = term.exp();
    for k in 1..=few {
        term += ((throws - k + 1) as f64).ln() - (k as f64).ln();
        tail += term.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_data::pseudo;
    use crate::vqa::tests::predictions;

    const QUICK: Bootstrap = Bootstrap { resamples: 2_000, level: 0.95, seed: 0 };

    /// The same questions, of which `better` in 100 wrong ones become right and `worse` in 100 right ones wrong.
    fn changed(list: &[Prediction], better: f64, worse: f64) -> Vec<Prediction> {
        let mut list = list.to_vec();
        for (i, prediction) in list.iter_mut().enumerate() {
            let change = if prediction.hit() { worse } else { better };
            if pseudo(i + 300) < change {
                prediction.score = 1.0 - prediction.score;
            }
        }
        list
    }

    #[test]
    fn mcnemar_agrees_with_scipy() {
        for (a, b, p) in MCNEMAR {
            assert!((exact_mcnemar(a, b) - p).abs() <= p * 1e-9, "{a} {b} {}", exact_mcnemar(a, b));
            assert_eq!(exact_mcnemar(a, b), exact_mcnemar(b, a));
        }
        // By hand: one head or fewer in 5 throws, twice: 2·(1 + 5)/32.
        assert!((exact_mcnemar(1, 4) - 0.375).abs() < 1e-12);
        assert_eq!((exact_mcnemar(0, 0), exact_mcnemar(7, 7)), (1.0, 1.0));
    }
    /// `scipy.stats.binomtest(min(a, b), a + b, 0.5).pvalue`.
    const MCNEMAR: [(usize, usize, f64); 6] = [
        (3, 11, 0.057_373_046_875),
        (30, 41, 0.235_097_562_408_341_87),
        (0, 6, 0.031_25),
        (120, 90, 0.045_114_087_864_840_696),
        (700, 600, 0.006_015_793_861_044_939_5),
        (1_500, 1_200, 8.412_086_328_628_609e-9),
    ];

    #[test]
    fn a_clear_difference_is_significant_and_an_unclear_one_is_not() {
        let a = predictions(400);
        let clear = compare(&a, &changed(&a, 0.6, 0.02), &QUICK).unwrap();
        assert!(clear[0].distinguishable() && clear[0].mcnemar_p < 1e-6, "{clear:?}");
        assert!(clear[0].sentence("old", "new").contains("new is better than old"));
        let unclear = compare(&a, &changed(&a, 0.1, 0.03), &QUICK).unwrap();
        assert!(!unclear[0].distinguishable() && unclear[0].mcnemar_p > 0.05, "{unclear:?}");
        assert!(unclear[0].sentence("old", "new").contains("no significant difference between old and new"));
        let names: Vec<&str> = clear.iter().map(|comparison| comparison.group.as_str()).collect();
        assert_eq!(names, ["overall", "closed", "open", "modality", "organ"]);
        assert_eq!(
            clear[3].difference.items,
            a.iter().filter(|p| p.question_type.as_deref() == Some("modality")).count()
        );
    }

    #[test]
    fn a_group_that_holds_every_question_is_not_repeated() {
        let mut a = predictions(20);
        a.iter_mut().for_each(|prediction| prediction.answer_type = AnswerType::Open);
        a.iter_mut().for_each(|prediction| prediction.question_type = None);
        let names: Vec<String> = compare(&a, &a, &QUICK).unwrap().into_iter().map(|of| of.group).collect();
        assert_eq!(names, ["overall"]);
    }

    #[test]
    fn the_interval_of_the_difference_agrees_with_numpy() {
        let a = predictions(400);
        let bootstrap = Bootstrap { resamples: 20_000, ..QUICK };
        let overall = compare(&a, &changed(&a, 0.3, 0.05), &bootstrap).unwrap().remove(0);
        assert_eq!((overall.only_a, overall.only_b), (ONLY_A, ONLY_B));
        for (ours, theirs) in [(overall.difference.by_item, BY_ITEM), (overall.difference.by_image, BY_IMAGE)] {
            let ours = ours.unwrap();
            assert!(
                (ours.low - theirs.0).abs() < 0.0035 && (ours.high - theirs.1).abs() < 0.0035,
                "{ours:?} {theirs:?}"
            );
        }
    }
    const ONLY_A: usize = 25;
    const ONLY_B: usize = 22;
    /// As in the tests of the bootstrap: scipy, and images drawn with numpy.
    const BY_ITEM: (f64, f64) = (-0.04, 0.025);
    const BY_IMAGE: (f64, f64) = (-0.043_037_975, 0.028_277_635);

    #[test]
    fn rejects_other_questions_and_names_them() {
        let a = predictions(20);
        let error = |b: &[Prediction]| compare(&a, b, &QUICK).unwrap_err().to_string();
        assert!(error(&a[..18]).contains("the second run lacks 2 questions, the first of them 19, 20"));
        let mut other = a.clone();
        other[3].question_id = 77;
        assert!(error(&other).contains("the second run lacks 1 questions, the first of them 4; the first run lacks 1"));
        let mut other = a.clone();
        other[3].answers = vec!["what else".into()];
        assert!(error(&other).contains("1 questions have other correct answers or images, the first of them 4"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn swapping_the_runs_swaps_everything(better in 0.0_f64..1.0, worse in 0.0_f64..1.0) {
            let a = predictions(60);
            let mut b = changed(&a, better, worse);
            b.reverse();
            let (ab, ba) = (compare(&a, &b, &QUICK).unwrap(), compare(&b, &a, &QUICK).unwrap());
            for (ab, ba) in ab.iter().zip(&ba) {
                prop_assert_eq!((ab.only_a, ab.only_b), (ba.only_b, ba.only_a));
                prop_assert!((ab.difference.value + ba.difference.value).abs() < 1e-12);
                prop_assert_eq!(ab.mcnemar_p, ba.mcnemar_p);
                prop_assert!((ab.b - ab.a - ab.difference.value).abs() < 1e-12);
            }
        }

        #[test]
        fn a_p_value_is_a_probability_and_falls_with_unevenness(few in 0_usize..40, more in 0_usize..40) {
            let (p, less_even) = (exact_mcnemar(few, few + more), exact_mcnemar(few, few + more + 1));
            prop_assert!((0.0..=1.0).contains(&p) && less_even <= p + 1e-12);
        }
    }
}
