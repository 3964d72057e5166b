//! Samples that could not be used.

use std::collections::BTreeSet;

use m3ae_data::Skipped;

use super::folder::{RunFolder, SKIPPED};
use crate::error::TrainError;

/// Counts the samples that could not be used, and fails when there are too many.
#[derive(Debug, Default)]
pub(crate) struct SkipBudget {
    allowed: f64,
    /// Each once, in the order in which they were read.
    skipped: Vec<String>,
    known: BTreeSet<String>,
    total: usize,
}

impl SkipBudget {
    /// A budget for `total` samples, of which the share `allowed` may be missing; `skipped` are counted already.
    pub(crate) fn new(allowed: f64, total: usize, skipped: Vec<String>) -> Self {
        Self { allowed, total, known: skipped.iter().cloned().collect(), skipped }
    }

    /// Notes what was skipped, each sample once.
    ///
    /// # Errors
    /// More than the allowed share is missing now; or the list cannot be written.
    pub(crate) fn note(&mut self, skipped: &[Skipped], folder: &RunFolder) -> Result<(), TrainError> {
        let known = &mut self.known;
        let new: Vec<String> =
            skipped.iter().map(ToString::to_string).filter(|skipped| known.insert(skipped.clone())).collect();
        folder.list_skipped(&new)?;
        for skipped in &new {
            tracing::info!("left out: {skipped}");
        }
        self.skipped.extend(new);
        match self.skipped.first() {
            Some(first) if self.skipped.len() as f64 > self.allowed * self.total as f64 => {
                Err(TrainError::TooManySkipped {
                    skipped: self.skipped.len(),
                    total: self.total,
                    allowed: self.allowed,
                    first: first.clone(),
                    list: folder.file(SKIPPED),
                })
            }
            _ => Ok(()),
        }
    }

    /// The samples left out so far.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }
}
