//! What an evaluation gives, and what it leaves in a folder.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use m3ae_eval::{Case, Evaluation, Prediction, eval_report, write_evaluation, write_predictions};

use crate::error::BenchmarkError;
use crate::matrices::write_matrices;
use crate::place::RECORD;

/// How much was computed in which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Questions, samples or pairs.
    pub items: usize,
    /// What the items are called.
    pub unit: &'static str,
    /// Different images.
    pub images: usize,
    /// Wall-clock time, decoding included.
    pub took: Duration,
}

impl Throughput {
    /// Items per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.items as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// What an evaluation gives.
#[derive(Debug)]
pub struct Results {
    /// Scores with intervals, and everything they follow from.
    pub evaluation: Evaluation,
    /// The answer to every question or the class of every sample; none for retrieval.
    pub predictions: Option<Vec<Prediction>>,
    /// Right and wrong cases for the report.
    pub cases: Vec<Case>,
    /// Every logit or score, `[items, classes]`, with its name, where the job keeps them.
    pub matrix: Option<(&'static str, Vec<Vec<f32>>)>,
    /// Names of the matrix's columns.
    pub metadata: HashMap<String, String>,
    /// How fast it was.
    pub throughput: Throughput,
    /// Scores kept while they were computed; removed once the results are written.
    pub(crate) partial: Option<PathBuf>,
}

impl Results {
    /// Writes `predictions.jsonl`, `report.html`, the matrix and, last, `eval.json` into `folder`. Each file appears
    /// whole or not at all; where `eval.json` is, the others are.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), BenchmarkError> {
        let page = eval_report(&self.evaluation, &self.cases)?;
        fs::create_dir_all(folder).map_err(BenchmarkError::io(folder))?;
        if let Some((name, rows)) = &self.matrix {
            let path = folder.join(format!("{name}.safetensors"));
            write_matrices(&path, &[(name, rows.as_slice())], self.metadata.clone())?;
        }
        if let Some(predictions) = &self.predictions {
            write_predictions(&folder.join("predictions.jsonl"), predictions)?;
        }
        page.write(&folder.join("report.html")).map_err(m3ae_eval::EvalError::from)?;
        write_evaluation(&folder.join(RECORD), &self.evaluation)?;
        match &self.partial {
            Some(path) => fs::remove_file(path).map_err(BenchmarkError::io(path)),
            None => Ok(()),
        }
    }
}
