//! Shapes are checked before an operator computes: a kernel that trusted them would read beyond its memory.

/// Panics unless `actual` is `expected`.
#[track_caller]
pub(crate) fn expect_shape<const D: usize>(operator: &str, name: &str, actual: [usize; D], expected: [usize; D]) {
    assert!(actual == expected, "{operator}: {name} has the shape {actual:?}, expected {expected:?}");
}

/// Panics unless `probability` can be a dropout's: from 0 to below 1.
#[track_caller]
pub(crate) fn expect_probability(operator: &str, probability: f64) {
    assert!((0.0..1.0).contains(&probability), "{operator}: dropout {probability} is not from 0 to below 1");
}
