//! Captions: a small grammar whose every sentence states modality, view, finding, side, region, size and density.

use m3ae_random::Generator;

use crate::{
    language::{article, capitalised, density, names, place, size, views},
    truth::{Finding, Truth, pick},
};

/// `count` captions of `truth`, all different as long as the grammar has that many (at least
/// [`MAX_CAPTIONS_PER_IMAGE`](crate::MAX_CAPTIONS_PER_IMAGE)). The first `n` of them do not depend on `count`.
#[must_use]
pub fn captions(truth: &Truth, count: usize) -> Vec<String> {
    // Far more draws than it takes to meet one new phrasing among dozens; it bounds the loop for any count.
    const TRIES: usize = 64;
    let mut generator = truth.generator("captions");
    let mut captions: Vec<String> = Vec::new();
    for _ in 0..count {
        let mut candidate = caption(truth, &mut generator);
        for _ in 0..TRIES {
            if !captions.contains(&candidate) {
                break;
            }
            candidate = caption(truth, &mut generator);
        }
        captions.push(candidate);
    }
    captions
}

fn caption(truth: &Truth, generator: &mut Generator) -> String {
    let view = pick(generator, views(truth.study));
    let start = capitalised(view);
    let Some(finding) = &truth.finding else {
        return match generator.below(8) {
            0 => format!("Normal {view} without any abnormality."),
            1 => format!("{start} with no abnormality."),
            2 => format!("{start} showing normal findings."),
            3 => format!("{start}: normal study."),
            4 => format!("There is no abnormality on this {view}."),
            5 => format!("Unremarkable, normal {view}."),
            6 => format!("{start} demonstrates no acute abnormality."),
            _ => format!("No abnormality is seen on this normal {view}."),
        };
    };
    let phrase = phrase(truth, finding, generator);
    let mut opening = capitalised(&phrase);
    if opening.contains(',') {
        // An inserted detail ends with a comma where the sentence goes on.
        opening.push(',');
    }
    match generator.below(8) {
        0 => format!("{start} showing {phrase}."),
        1 => format!("{start} demonstrates {phrase}."),
        2 => format!("{start}: {phrase}."),
        3 => format!("{opening} on {view}."),
        4 => format!("This {view} shows {phrase}."),
        5 => format!("{start}. {opening} is seen."),
        6 => format!("{start} reveals {phrase}."),
        _ => format!("{opening} is visible on this {view}."),
    }
}

/// The finding as a noun phrase: `a small hyperdense hemorrhage in the right frontal lobe`.
fn phrase(truth: &Truth, finding: &Finding, generator: &mut Generator) -> String {
    let kind = finding.kind;
    let name = pick(generator, names(kind));
    let size = size(kind, finding.size);
    let dense = finding.density.map_or_else(String::new, |it| format!("{} ", density(truth.study, it)));
    let place = place(finding);
    match generator.below(5) {
        0 if !dense.is_empty() => {
            let dense = dense.trim_end();
            format!("{}{size} {name}{place}, {dense} in appearance", article(kind, size))
        }
        1 if !dense.is_empty() => {
            format!("{}{dense}{name}{place}, {size} in size", article(kind, &dense))
        }
        2 => format!("{}{size} {dense}{name}{place}, measuring {:.0} mm", article(kind, size), finding.extent),
        _ => format!("{}{size} {dense}{name}{place}", article(kind, size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::MAX_CAPTIONS_PER_IMAGE,
        finding::{FindingKind, Study},
        language,
    };

    fn truths() -> impl Iterator<Item = Truth> {
        (0..600).map(|i| Truth::draw(4, &format!("image-{i}")))
    }

    #[test]
    fn captions_state_the_truth() {
        for truth in truths() {
            for caption in captions(&truth, MAX_CAPTIONS_PER_IMAGE) {
                let text = caption.to_lowercase();
                let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
                let states = |word: &str| words.contains(&word);
                let (modality, view, organ) = match truth.study {
                    Study::HeadCt => (states("ct"), states("axial"), states("head") || states("brain")),
                    Study::ChestXray => (states("x-ray") || states("radiograph"), states("pa"), states("chest")),
                    Study::AbdomenCt => (states("ct"), states("axial"), text.contains("abdom")),
                };
                assert!(modality && view && organ, "{caption}");
                let Some(finding) = &truth.finding else {
                    assert!(text.contains("normal") || text.contains("no abnormality"), "{caption}");
                    continue;
                };
                assert!(names(finding.kind).iter().any(|name| text.contains(name)), "{caption}");
                assert!(states(language::size(finding.kind, finding.size)), "{caption}");
                assert!(finding.side.is_none_or(|side| states(language::side(side))), "{caption}");
                assert!(finding.side.is_none_or(|side| !states(language::side(side.opposite()))), "{caption}");
                assert!(finding.region.is_none_or(|region| states(language::region(region))), "{caption}");
                assert!(finding.density.is_none_or(|it| states(density(truth.study, it))), "{caption}");
            }
        }
    }

    #[test]
    fn captions_have_5_to_30_words_on_one_line() {
        for truth in truths() {
            for caption in captions(&truth, 4) {
                let words = caption.split_whitespace().count();
                assert!((5..=30).contains(&words), "{words}: {caption}");
                assert!(!caption.contains(['\t', '\n', '\r']) && !caption.contains("  "), "{caption}");
            }
        }
    }

    #[test]
    fn captions_of_one_image_differ_and_do_not_depend_on_their_number() {
        for truth in truths() {
            let all = captions(&truth, MAX_CAPTIONS_PER_IMAGE);
            assert_eq!(captions(&truth, 1)[0], all[0]);
            for (i, caption) in all.iter().enumerate() {
                assert!(!all[..i].contains(caption), "{caption}");
            }
        }
    }

    #[test]
    fn phrasings_are_many() {
        let mut of_one_kind: Vec<String> = truths()
            .filter(|t| t.finding.as_ref().is_some_and(|f| f.kind == FindingKind::Cardiomegaly))
            .flat_map(|truth| captions(&truth, 4))
            .collect();
        let total = of_one_kind.len();
        of_one_kind.sort();
        of_one_kind.dedup();
        assert!(of_one_kind.len() * 2 > total, "{} of {total}", of_one_kind.len());
    }
}
