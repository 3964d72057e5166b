//! Validation and test: metrics of a split, the best weights, the end of a run.

use burn::module::Module;
use m3ae_data::{CaptionBatch, Loader};
use m3ae_files::remove_folder;
use m3ae_model::{M3ae, Precision};
use m3ae_weights::{Extras, export_folder, open_folder};

use super::observer::{Line, Observer};
use super::{Run, RunFolder, Summary, notice_failure};
use crate::checkpoint::{Best, RunCheckpoint};
use crate::error::TrainError;
use crate::metrics::{Metrics, Sums};

/// Gets the first batch of a split.
type FirstBatch<'a> = &'a mut dyn FnMut(&CaptionBatch, &RunFolder) -> Result<(), TrainError>;

impl Run<'_> {
    /// Evaluates the validation split; saves the weights if they are the best so far.
    pub(super) fn validate(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let (step, device) = (self.progress.step, self.device.clone().inner());
        // Pictures are made in float32.
        let model = self.model.valid().with_precision(Precision::F32);
        let metrics = self.evaluate(&model, &self.setup.val, &mut |samples, folder| {
            self.setup.task.show(&model, samples, step, &device, folder.path())
        })?;
        self.progress.skipped = self.skipped.skipped().to_vec();
        self.folder.record(&Line::Validation { step, metrics: &metrics })?;
        if step == 0 {
            self.progress.untrained = Some(metrics.clone());
        }
        self.progress.trained = Some(metrics.clone());
        let score = self.setup.task.score(&metrics);
        let is_best = step > 0 && is_better(score, self.progress.best.as_ref().map(|best| best.score));
        if is_best {
            let former = self.progress.best.replace(Best { step, score, metrics: metrics.clone() });
            if let Some(problem) = self.checkpoints.save_best(&self.snapshot(false))? {
                self.progress.best = former;
                observer.notice(&format!("the best weights so far could not be saved: {problem}"));
            }
        }
        observer.validated(step, &metrics, is_best);
        Ok(())
    }

    /// Metrics of a split without dropout, in the recipe's precision, with random draws that never change; `first` gets
    /// its first batch.
    fn evaluate(&mut self, model: &M3ae, loader: &Loader, first: FirstBatch<'_>) -> Result<Metrics, TrainError> {
        let device = self.device.clone().inner();
        let model = model.clone().with_precision(self.config.train.precision);
        let mut sums = Sums::default();
        for (number, samples) in loader.epoch(0, 0).enumerate() {
            let samples = samples?;
            self.skipped.note(&samples.skipped, &self.folder)?;
            if samples.is_empty() {
                continue;
            }
            // A loss that is not finite shows in the metrics; it stops no validation.
            sums.add(&self.setup.task.step(&model, &samples, number as u64, &device)?)?;
            if number == 0 {
                first(&samples, &self.folder)?;
            }
        }
        Ok(sums.means())
    }

    /// Tests the best weights and exports them as a model folder; pre-training exports the last.
    pub(super) fn finish(mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        notice_failure(self.checkpoints.wait()?, observer);
        let fine_tuning = !self.config.task.is_pretraining();
        let (mut model, mut step) = (self.model.valid(), self.progress.step);
        if let Some(best) = self.progress.best.clone().filter(|best| fine_tuning && best.step != step) {
            match self.load_best(best.step) {
                Ok(best_model) => (model, step) = (best_model, best.step),
                Err(problem) => {
                    self.progress.best = None;
                    observer.notice(&format!(
                        "the best weights, those of step {}, cannot be used; the last ones are tested and exported: {problem}",
                        best.step
                    ));
                }
            }
        }
        let mut test = None;
        if let Some(loader) = &self.setup.test {
            let metrics = self.evaluate(&model, loader, &mut |_, _| Ok(()))?;
            self.folder.record(&Line::Test { step, metrics: &metrics })?;
            test = Some(metrics);
        }
        let extras = Extras {
            tokenizer: Some(self.folder.file("tokenizer.json")),
            answers: self.setup.task.answers().map(<[String]>::to_vec),
            max_length: Some(self.config.text.max_length),
        };
        let out = self.folder.file("model");
        if out.is_dir() {
            // Of an earlier end of this run, which was resumed since.
            remove_folder(&out)?;
        }
        export_folder(&model, &self.setup.model, &extras, &out)?;
        self.progress.skipped = self.skipped.skipped().to_vec();
        let folder = self.folder.path().to_owned();
        Ok(Summary { complete: true, progress: self.progress, test, folder })
    }

    /// The best weights, those of `step`.
    fn load_best(&self, step: usize) -> Result<M3ae, TrainError> {
        let found = RunCheckpoint::open(&self.checkpoints.best(step))?;
        Ok(open_folder(&found.path)?.load(&self.device.clone().inner())?.0)
    }
}

/// Whether `score` is higher than the best one before. One that is not a number never is, and every other one is higher
/// than it.
fn is_better(score: f64, best: Option<f64>) -> bool {
    !score.is_nan() && best.is_none_or(|best| best.is_nan() || score > best)
}

#[cfg(test)]
mod tests {
    use super::is_better;

    #[test]
    fn a_score_that_is_not_a_number_is_never_the_best() {
        assert!(is_better(0.1, None) && is_better(0.2, Some(0.1)) && is_better(0.1, Some(f64::NAN)));
        assert!(!is_better(f64::NAN, None) && !is_better(f64::NAN, Some(0.1)) && !is_better(0.1, Some(0.1)));
    }
}
