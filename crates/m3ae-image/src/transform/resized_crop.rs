//! The random part of an image that a resized crop shows, chosen as torchvision's `RandomResizedCrop` chooses it.
//!
//! Ten times an area (0.9 to 1.0 of the image's) and a shape (3:4 to 4:3, uniform in its logarithm) are drawn; the
//! first that fits into the image is placed at random. Where none fits — an image much longer than wide never has one —
//! it is the middle part of the nearest allowed shape. The distributions are torchvision's; the numbers drawn are ours.

use std::ops::Range;

use m3ae_random::Generator;

/// The share of the image's area.
const SCALE: (f64, f64) = (0.9, 1.0);
/// Width over height.
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
const TRIES: usize = 10;

/// A part of an image: at least one pixel, all inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub columns: Range<usize>,
    pub rows: Range<usize>,
}

/// A random part of an image of `size` (width, height).
pub(super) fn draw(size: (usize, usize), generator: &mut Generator) -> Part {
    let (width, height) = size;
    let area = width as f64 * height as f64;
    let logarithms = (RATIO.0.ln(), RATIO.1.ln());
    for _ in 0..TRIES {
        let target = area * between(SCALE, generator);
        let ratio = between(logarithms, generator).exp();
        let (wide, high) = (length(target * ratio), length(target / ratio));
        if (1..=width).contains(&wide) && (1..=height).contains(&high) {
            let top = generator.below(height - high + 1);
            let left = generator.below(width - wide + 1);
            return Part { columns: left..left + wide, rows: top..top + high };
        }
    }
    middle(size)
}

/// The middle part of the allowed shape that is nearest to the image's own.
fn middle((width, height): (usize, usize)) -> Part {
    let ratio = width as f64 / height as f64;
    let (wide, high) = if ratio < RATIO.0 {
        (width, round(width as f64 / RATIO.0))
    } else if ratio > RATIO.1 {
        (round(height as f64 * RATIO.1), height)
    } else {
        (width, height)
    };
    // Rounding cannot leave the image, but a range outside of it would be worse than a check.
    let (wide, high) = (wide.clamp(1, width), high.clamp(1, height));
    let (left, top) = ((width - wide) / 2, (height - high) / 2);
    Part { columns: left..left + wide, rows: top..top + high }
}

fn between((low, high): (f64, f64), generator: &mut Generator) -> f64 {
    low + (high - low) * f64::from(generator.uniform())
}

/// The side of a square of this area.
fn length(area: f64) -> usize {
    round(area.sqrt())
}

/// As Python rounds: halves to the even number.
fn round(value: f64) -> usize {
    value.round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use m3ae_random::{Key, Stream};
    use proptest::prelude::*;

    use super::*;

    fn generator(seed: u64) -> Generator {
        Key { seed, epoch: 0, sample: "a", stream: Stream::Augmentation }.generator()
    }

    proptest! {
        #[test]
        fn every_part_has_pixels_and_is_inside(
            width in prop_oneof![1_usize..6, 1_usize..5000, Just(60_000_usize)],
            height in prop_oneof![1_usize..6, 1_usize..5000, Just(60_000_usize)], seed in any::<u64>(),
        ) {
            let part = draw((width, height), &mut generator(seed));
            prop_assert!(!part.columns.is_empty() && part.columns.end <= width);
            prop_assert!(!part.rows.is_empty() && part.rows.end <= height);
        }
    }

    #[test]
    fn parts_have_the_area_and_shape_asked_for_and_all_places() {
        let (mut lefts, mut shapes) = ([0; 2], std::collections::BTreeSet::new());
        for seed in 0..500 {
            let part = draw((400, 380), &mut generator(seed));
            let (wide, high) = (part.columns.len() as f64, part.rows.len() as f64);
            // The fall-back shows the whole image; half a pixel goes to rounding.
            let share = wide * high / (400.0 * 380.0);
            assert!((0.895..=1.0).contains(&share), "{share}");
            assert!((0.74..=1.34).contains(&(wide / high)));
            if part.columns.len() < 400 {
                lefts[usize::from(2 * part.columns.start > 400 - part.columns.len())] += 1;
            }
            shapes.insert((part.columns.len(), part.rows.len()));
        }
        assert!(lefts.iter().all(|&count| count > 50) && shapes.len() > 100, "{lefts:?} {}", shapes.len());
    }

    #[test]
    fn images_too_long_show_the_middle_of_the_nearest_shape() {
        // 30 / (3/4) = 40 of 100 rows; 30 · 4/3 = 40 of 100 columns.
        assert_eq!(draw((30, 100), &mut generator(0)), Part { columns: 0..30, rows: 30..70 });
        assert_eq!(draw((100, 30), &mut generator(0)), Part { columns: 30..70, rows: 0..30 });
        assert_eq!(draw((1, 1), &mut generator(3)), Part { columns: 0..1, rows: 0..1 });
        assert_eq!(middle((60_000, 1)), Part { columns: 29_999..30_000, rows: 0..1 });
    }
}
