use std::collections::BTreeMap;

use super::*;

fn truths(count: usize) -> impl Iterator<Item = Truth> {
    (0..count).map(|i| Truth::draw(8, &format!("image-{i}")))
}

/// How often each closed text is answered yes, and how often it is asked.
fn yes_of_text(count: usize) -> BTreeMap<String, (usize, usize)> {
    let mut counts = BTreeMap::new();
    for question in truths(count).flat_map(|truth| questions(&truth)) {
        if question.answer_type == AnswerType::Closed {
            let entry: &mut (usize, usize) = counts.entry(question.question).or_default();
            entry.0 += usize::from(question.answer == "Yes");
            entry.1 += 1;
        }
    }
    counts
}

#[test]
fn closed_questions_are_balanced() {
    let counts = yes_of_text(20_000);
    let (yes, total) = counts.values().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let share = yes as f64 / total as f64;
    assert!((0.48..0.52).contains(&share), "{share}");
    // And so is each text that is asked often enough to tell: no answer follows from the words.
    for (text, (yes, total)) in counts {
        if total < 300 {
            continue;
        }
        let share = yes as f64 / total as f64;
        assert!((0.38..0.62).contains(&share), "{share} of {total}: {text}");
    }
}

#[test]
fn every_image_has_six_questions_about_half_of_them_closed() {
    let all: Vec<Vec<Question>> = truths(2000).map(|truth| questions(&truth)).collect();
    assert!(all.iter().all(|questions| questions.len() == 6));
    let closed = all.iter().flatten().filter(|it| it.answer_type == AnswerType::Closed).count() as f64 / 12_000.0;
    assert!((0.35..0.6).contains(&closed), "{closed}");
}

#[test]
fn no_question_is_asked_twice_of_one_image() {
    for truth in truths(2000) {
        let questions = questions(&truth);
        for (i, question) in questions.iter().enumerate() {
            assert!(questions[..i].iter().all(|other| other.question != question.question), "{question:?}");
        }
    }
}

#[test]
fn presence_is_answered_by_the_truth() {
    let mut asked = 0;
    for truth in truths(2000) {
        for question in questions(&truth).into_iter().filter(|it| it.question_type == "PRES") {
            let kinds: Vec<FindingKind> = FindingKind::of(truth.study)
                .filter(|kind| question.question.contains(&format!("{}{}", article(*kind, name(*kind)), name(*kind))))
                .collect();
            let [kind] = kinds[..] else { panic!("{question:?}: {kinds:?}") };
            let present = truth.finding.as_ref().is_some_and(|finding| finding.kind == kind);
            assert_eq!(question.answer, if present { "Yes" } else { "No" }, "{question:?}");
            asked += 1;
        }
    }
    assert_eq!(asked, 2000);
}

#[test]
fn side_and_size_are_answered_by_the_truth() {
    for truth in truths(2000) {
        let Some(finding) = &truth.finding else { continue };
        for question in questions(&truth) {
            let asks = |word: &str| question.question.contains(&format!(" {word}"));
            let expected = match (question.question_type.as_str(), question.answer_type) {
                ("POS", AnswerType::Closed) if asks("left") => finding.side == Some(Side::Left),
                ("POS", AnswerType::Closed) if asks("right") => finding.side == Some(Side::Right),
                ("SIZE", AnswerType::Closed) if asks("large") || asks("marked") => finding.size == Size::Large,
                ("SIZE", AnswerType::Closed) => finding.size == Size::Small,
                ("SIZE", AnswerType::Open) => {
                    assert_eq!(question.answer, capitalised(size(finding.kind, finding.size)));
                    continue;
                }
                _ => continue,
            };
            assert_eq!(question.answer == "Yes", expected, "{question:?} {finding:?}");
        }
    }
}

#[test]
fn closed_answers_are_yes_or_no_and_open_ones_are_few() {
    let mut open = BTreeMap::new();
    for question in truths(4000).flat_map(|truth| questions(&truth)) {
        match question.answer_type {
            AnswerType::Closed => assert!(["Yes", "No"].contains(&question.answer.as_str()), "{question:?}"),
            AnswerType::Open => *open.entry(question.answer).or_insert(0) += 1,
        }
    }
    // A label set that a small training split covers.
    assert!((30..=80).contains(&open.len()), "{open:?}");
}
