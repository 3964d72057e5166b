//! What the model reads in masked words.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::by_step;
use crate::format::format_number;
use crate::page::{Align, Cell, Page, Span, Style, Table};

/// Most guesses shown for a word.
const MAX_GUESSES: usize = 5;

/// A text with masked words.
#[derive(Deserialize)]
struct Prediction {
    text: String,
    words: Vec<Word>,
}

/// One masked word.
#[derive(Deserialize)]
struct Word {
    position: u64,
    truth: String,
    /// Words with their probabilities, best first.
    guesses: Vec<(String, f64)>,
}

/// Shows the latest predictions.
pub(super) fn add(page: &mut Page, folder: &Path) {
    let Some((step, path)) = by_step(folder, "predictions-", ".json").pop() else { return };
    let section = page.section("Masked words");
    let read = || -> Result<Vec<Prediction>, String> {
        let bytes = fs::read(&path).map_err(|error| error.to_string())?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    };
    let predictions = match read() {
        Ok(predictions) => predictions,
        Err(problem) => {
            section.text(format!("predictions-{step} cannot be read: {problem}"));
            return;
        }
    };
    section.text(format!(
        "After step {}: the masked words of each text, and the model's best guesses with their probabilities. ✓ marks the true word.",
        format_number(step as f64)
    ));
    let columns = [("At", Align::Right), ("Masked word", Align::Left), ("Guesses", Align::Left)];
    for Prediction { text, words } in &predictions {
        section.text(format!("“{text}”"));
        let mut table = Table::new(columns);
        for word in words {
            table.row([word.position.to_string().into(), Cell::strong(&word.truth), guesses(word)]);
        }
        section.table(&table);
    }
}

fn guesses(word: &Word) -> Cell {
    let mut spans = Vec::new();
    for (i, (guess, probability)) in word.guesses.iter().take(MAX_GUESSES).enumerate() {
        if i > 0 {
            spans.push(Span::new(" · ", Style::Faint));
        }
        let right = guess.trim() == word.truth.trim();
        let (mark, style) = if right { ("✓ ", Style::Good) } else { ("", Style::Plain) };
        spans.push(Span::new(format!("{mark}{}", guess.trim()), style));
        spans.push(Span::new(format!("\u{a0}{:.0}\u{a0}%", probability * 100.0), Style::Faint));
    }
    Cell::of(spans)
}
