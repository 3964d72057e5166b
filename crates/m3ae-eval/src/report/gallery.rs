//! Examples of correct and incorrect answers, with their images.

use m3ae_random::{Key, Stream};
use m3ae_report::{Cell, GalleryItem, Page, Png, Span, Style};

use crate::error::EvalError;
use crate::vqa::Prediction;

/// The largest number of answers shown for a question.
const ANSWERS: usize = 3;

/// A question with its picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The question and what the model answered.
    pub prediction: Prediction,
    /// The image, as a PNG file.
    pub image: Option<Vec<u8>>,
    /// The image under a heat map of what the model attended to, as a PNG file.
    pub attention: Option<Vec<u8>>,
}

/// Indices, in order, of at most `most` correct (or incorrect) predictions. They are drawn at random, so that the
/// examples are not hand-picked.
#[must_use]
pub fn choose_cases(predictions: &[Prediction], right: bool, most: usize, seed: u64) -> Vec<usize> {
    let numbered = predictions.iter().enumerate();
    let mut numbers: Vec<usize> =
        numbered.filter(|(_, prediction)| prediction.hit() == right).map(|(i, _)| i).collect();
    let sample = if right { "right" } else { "wrong" };
    Key { seed, epoch: 0, sample, stream: Stream::Examples }.generator().shuffle(&mut numbers);
    numbers.truncate(most);
    numbers.sort_unstable();
    numbers
}

/// Adds a section of correct and one of incorrect answers, if there are any.
pub(super) fn add(page: &mut Page, cases: &[Case]) -> Result<(), EvalError> {
    for (title, right) in [("Answered correctly", true), ("Answered incorrectly", false)] {
        let items =
            cases.iter().filter(|case| case.prediction.hit() == right).map(item).collect::<Result<Vec<_>, _>>()?;
        if !items.is_empty() {
            page.section(title)
                .text("Drawn at random. The second picture of a pair shows what the model attended to.")
                .gallery(&items);
        }
    }
    Ok(())
}

fn item(case: &Case) -> Result<GalleryItem, EvalError> {
    let Case { prediction, image, attention } = case;
    let named = [(image, "image"), (attention, "attention over image")];
    let pictures = named
        .into_iter()
        .filter_map(|(bytes, what)| Some((bytes.clone()?, what)))
        .map(|(bytes, what)| Png::new(bytes, format!("{what} {}", prediction.image_id)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| EvalError::item(format!("question {}", prediction.question_id), error))?;
    let truth =
        Cell::of([Span::new("truth: ", Style::Faint), Span::new(prediction.answers.join(" or "), Style::Plain)]);
    let identity = format!("question {}, image {}", prediction.question_id, prediction.image_id);
    let lines = vec![
        Cell::strong(&prediction.question),
        truth,
        answers(prediction),
        Cell::of([Span::new(identity, Style::Faint)]),
    ];
    Ok(GalleryItem { pictures, lines })
}

/// The model's most probable answers; mark and colour say whether the first one is correct.
fn answers(prediction: &Prediction) -> Cell {
    let (mark, style) = if prediction.hit() { ("✓ ", Style::Good) } else { ("✗ ", Style::Bad) };
    let mut spans = vec![Span::new("model: ", Style::Faint)];
    for (i, (answer, probability)) in prediction.top.iter().take(ANSWERS).enumerate() {
        let text = if i == 0 { format!("{mark}{answer}") } else { format!(" · {answer}") };
        spans.push(Span::new(text, if i == 0 { style } else { Style::Plain }));
        spans.push(Span::new(format!("\u{a0}{:.0}\u{a0}%", probability * 100.0), Style::Faint));
    }
    Cell::of(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vqa::tests::predictions;

    #[test]
    fn cases_are_drawn_alike_for_the_same_seed_and_are_what_was_asked_for() {
        let list = predictions(200);
        let wrong = choose_cases(&list, false, 8, 3);
        assert_eq!((wrong.len(), &wrong), (8, &choose_cases(&list, false, 8, 3)));
        assert!(wrong.iter().all(|&i| !list[i].hit()) && wrong.windows(2).all(|pair| pair[0] < pair[1]));
        assert_ne!(wrong, choose_cases(&list, false, 8, 4));
        assert_eq!(choose_cases(&list[..3], true, 8, 0).len(), list[..3].iter().filter(|p| p.hit()).count());
    }

    #[test]
    fn a_case_says_what_was_asked_and_answered() {
        let list = predictions(40);
        let case = |right: bool, image| {
            let number = choose_cases(&list, right, 1, 0)[0];
            Case { prediction: list[number].clone(), image, attention: None }
        };
        let mut page = Page::new("x");
        let png = b"\x89PNG\r\n\x1a\n".to_vec();
        add(&mut page, &[case(true, Some(png)), case(false, None)]).unwrap();
        let html = page.html();
        for part in ["Answered correctly", "Answered incorrectly", "✓ ", "✗ ", "data:image/png", "truth: "] {
            assert!(html.contains(part), "{part}");
        }
        let error = add(&mut page, &[case(true, Some(b"JFIF".to_vec()))]).unwrap_err().to_string();
        assert!(error.contains("question") && error.contains("not a PNG"), "{error}");
    }
}
