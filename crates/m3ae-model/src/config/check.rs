//! Checks that all parts of a configuration share.

use crate::error::ConfigError;

/// Refuses the first size that is 0.
pub(super) fn at_least_one(sizes: impl IntoIterator<Item = (&'static str, usize)>) -> Result<(), ConfigError> {
    match sizes.into_iter().find(|&(_, size)| size == 0) {
        Some((field, _)) => Err(ConfigError { field, problem: "is 0; it must be at least 1".into() }),
        None => Ok(()),
    }
}

/// Refuses the first size that is no multiple of its divisor, which has a name.
pub(super) fn multiples(
    sizes: impl IntoIterator<Item = (&'static str, usize, usize, &'static str)>,
) -> Result<(), ConfigError> {
    match sizes.into_iter().find(|&(_, size, divisor, _)| !size.is_multiple_of(divisor)) {
        Some((field, size, divisor, name)) => {
            Err(ConfigError { field, problem: format!("{size} is not a multiple of {name}, {divisor}") })
        }
        None => Ok(()),
    }
}

/// Refuses a probability of dropout outside `[0, 1)`.
pub(super) fn dropout(field: &'static str, dropout: f64) -> Result<(), ConfigError> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(ConfigError { field, problem: format!("{dropout:?} is not in [0, 1)") }),
    }
}
