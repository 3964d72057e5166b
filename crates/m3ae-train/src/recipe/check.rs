//! What no run could be made of, found before anything starts. Every limit below is far above any use; beyond it a
//! value is a mistake that would otherwise end in memory or time without bound.

use std::path::Path;

use m3ae_phantom::PhantomError;

use super::{RunConfig, RunConfigError};

/// Longest path that Linux opens.
const MAX_PATH: usize = 4096;
/// Longest file name of common file systems, less what is added to it (`.part`).
const MAX_NAME: usize = 200;
/// Most samples of a batch, and batches of a step: the largest batches in the literature have 65 536 samples.
const MAX_BATCH: usize = 1 << 16;
/// Most steps, and numbers of steps.
const MAX_STEPS: usize = 1_000_000_000;
/// Most passes over the data.
const MAX_EPOCHS: usize = 1_000_000;
/// Most devices, and threads that decode images.
const MAX_THREADS: usize = 1024;
/// Most MiB of images in memory: 1 TiB.
const MAX_CACHE: usize = 1 << 20;
/// Most tokens of a text, and texts or pictures beside an image.
const MAX_TEXTS: usize = 1 << 16;
/// Most values of one batch of images: GPU kernels count the values of a tensor in 32 bits.
const MAX_VALUES: usize = i32::MAX as usize;
/// Most repetitions of a set's samples in an epoch, as `m3ae_data::mix` has it.
const MAX_WEIGHT: f64 = 100.0;

impl RunConfig {
    pub(super) fn validate(&self) -> Result<(), RunConfigError> {
        let name = &self.run.name;
        if name.len() > MAX_NAME {
            return wrong("run.name", format!("has {} bytes; at most {MAX_NAME} are accepted", name.len()));
        }
        let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        if !is_name || name.contains(char::is_control) {
            return wrong("run.name", format!("`{}` cannot be a folder's name", name.escape_debug()));
        }
        self.model.validate()?;
        self.validate_paths()?;
        self.validate_data()?;
        self.validate_counts()?;
        self.validate_ranges()
    }

    fn validate_paths(&self) -> Result<(), RunConfigError> {
        for (key, path) in [
            ("run.directory", Some(&self.run.directory)),
            ("data.roco", self.data.roco.as_ref()),
            ("data.phantom", self.data.phantom.as_ref()),
            ("data.prepared", Some(&self.data.prepared)),
            ("text.tokenizer", self.text.tokenizer.as_ref()),
        ] {
            let Some(path) = path else { continue };
            if path.as_os_str().is_empty() {
                return wrong(key, "is empty; the current folder is `.`");
            }
            path_like(key, &path.to_string_lossy())?;
        }
        let (init, task) = (&self.init, &self.task);
        for (key, name) in
            [("init.vision", &init.vision), ("init.text", &init.text), ("init.checkpoint", &init.checkpoint)]
        {
            path_like(key, name.as_deref().unwrap_or_default())?;
        }
        path_like("task.kind", &task.kind)?;
        path_like("task.label", &task.label)?;
        for name in &self.data.sets {
            path_like("data.sets", name)?;
            if Path::new(name).file_name().is_none_or(|part| part != &**name) {
                return wrong("data.sets", format!("{name:?} is not the name of a set"));
            }
        }
        Ok(())
    }

    fn validate_data(&self) -> Result<(), RunConfigError> {
        let data = &self.data;
        let sources = [data.roco.is_some(), data.phantom.is_some(), !data.sets.is_empty()];
        match sources.iter().filter(|&&given| given).count() {
            0 => {
                let problem = "no data set is given: name prepared sets in data.sets, a folder in ROCO's layout in \
                               data.roco, or a folder for the synthetic set in data.phantom";
                return wrong("data", problem);
            }
            1 => {}
            _ => return wrong("data", "more than one of `roco`, `phantom` and `sets` is given; keep one"),
        }
        let fine_tuning = !self.task.is_pretraining();
        let initial = self.init.checkpoint.as_ref().is_some_and(|name| !name.is_empty());
        if data.phantom.is_none() && self.text.tokenizer.is_none() && !initial {
            let problem = "is missing: a folder with vocab.json and merges.txt, tokenizer.json, or vocab.txt";
            return wrong("text.tokenizer", problem);
        }
        if fine_tuning && data.roco.is_some() {
            return wrong("data.roco", "fine-tuning reads prepared files: name the prepared set in data.sets");
        }
        if fine_tuning && data.sets.len() > 1 {
            return wrong("data.sets", format!("fine-tuning takes one set, not {}", data.sets.len()));
        }
        if !data.weights.is_empty() && data.weights.len() != data.sets.len() {
            let problem = format!("{} weights for {} sets: one for each", data.weights.len(), data.sets.len());
            return wrong("data.weights", problem);
        }
        data.weights.iter().try_for_each(|&weight| between("data.weights", weight, 0.0, MAX_WEIGHT))?;
        if self.init.keep_head && (!fine_tuning || !initial) {
            return wrong("init.keep_head", "is for fine-tuning from an init.checkpoint");
        }
        match self.phantom.validate() {
            Err(PhantomError::Config { field, value, low, high }) => Err(RunConfigError::value(
                format!("phantom.{field}"),
                format!("{value} is not between {low} and {high}"),
            )),
            _ => Ok(()),
        }
    }

    fn validate_counts(&self) -> Result<(), RunConfigError> {
        // Image-text matching needs a matched and an unmatched pair.
        let least_batch = if self.task.is_pretraining() { 2 } else { 1 };
        match (self.train.steps, self.train.epochs) {
            (Some(_), Some(_)) => return wrong("train", "both `steps` and `epochs` are given; keep one"),
            (None, None) => return wrong("train", "give either `steps` or `epochs`"),
            _ => {}
        }
        let (train, log) = (&self.train, &self.log);
        for (key, value, least, most) in [
            ("train.batch_size", train.batch_size, least_batch, MAX_BATCH),
            ("train.steps", train.steps.unwrap_or(1), 1, MAX_STEPS),
            ("train.epochs", train.epochs.unwrap_or(1), 1, MAX_EPOCHS),
            ("train.accumulate", train.accumulate, 1, MAX_BATCH),
            ("train.devices", train.devices, 1, MAX_THREADS),
            ("task.false_texts", self.task.false_texts, 1, MAX_TEXTS),
            ("text.max_length", self.text.max_length, 3, MAX_TEXTS),
            ("data.workers", self.data.workers, 0, MAX_THREADS),
            ("data.cache_mib", self.data.cache_mib, 0, MAX_CACHE),
            ("log.every", log.every, 1, MAX_STEPS),
            ("log.validate_every", log.validate_every.unwrap_or(1), 1, MAX_STEPS),
            ("log.validation_samples", log.validation_samples.unwrap_or(1), 1, MAX_STEPS),
            ("log.pictures", log.pictures, 0, MAX_TEXTS),
            ("checkpoint.every", self.checkpoint.every, 0, MAX_STEPS),
            ("checkpoint.keep", self.checkpoint.keep, 1, MAX_STEPS),
        ] {
            if value < least {
                return wrong(key, format!("{value} is too small; it must be at least {least}"));
            }
            if value > most {
                return wrong(key, format!("{value} is too large; at most {most} is accepted"));
            }
        }
        let (accumulate, devices) = (train.accumulate, train.devices);
        if !accumulate.is_multiple_of(devices) {
            let problem = format!("{accumulate} batches cannot be shared evenly by train.devices = {devices}");
            return wrong("train.accumulate", problem);
        }
        Ok(())
    }

    fn validate_ranges(&self) -> Result<(), RunConfigError> {
        let train = &self.train;
        for (key, value, most) in [
            ("train.learning_rate", train.learning_rate, 1.0),
            ("train.clip_norm", train.clip_norm.unwrap_or(1.0), f64::MAX),
            ("masking.text_probability", self.masking.text_probability, 1.0),
        ] {
            if !(value > 0.0 && value <= most) {
                let most = if most == f64::MAX { "finite".to_owned() } else { format!("at most {most}") };
                return wrong(key, format!("{} is not above 0 and {most}", number(value)));
            }
        }
        for (key, value, low, high) in [
            ("train.end_learning_rate", train.end_learning_rate, 0.0, train.learning_rate),
            ("train.lr_multiplier_head", train.lr_multiplier_head, 0.0, 1e6),
            ("train.lr_multiplier_multi_modal", train.lr_multiplier_multi_modal, 0.0, 1e6),
            ("train.weight_decay", train.weight_decay, 0.0, 1.0),
            ("train.warmup", train.warmup, 0.0, train.steps.unwrap_or(MAX_STEPS) as f64),
            ("train.decay_power", train.decay_power, 0.0, 100.0),
            ("data.max_skipped_share", self.data.max_skipped_share, 0.0, 1.0),
            ("checkpoint.minutes", self.checkpoint.minutes, 0.0, 1e6),
            ("objectives.mlm", self.objectives.mlm, 0.0, 1e6),
            ("objectives.mim", self.objectives.mim, 0.0, 1e6),
            ("objectives.itm", self.objectives.itm, 0.0, 1e6),
        ] {
            between(key, value, low, high)?;
        }
        // At 1 nothing would be left to see.
        match (0.0..1.0).contains(&self.masking.image_ratio) {
            true => Ok(()),
            false => wrong("masking.image_ratio", format!("{} is not in [0, 1)", number(self.masking.image_ratio))),
        }
    }

    /// Refuses batches of images that no device can hold in one tensor.
    pub(crate) fn check_batch(&self, image_size: usize) -> Result<(), RunConfigError> {
        let values = image_size.checked_mul(image_size).and_then(|pixels| pixels.checked_mul(3));
        match values.and_then(|values| values.checked_mul(self.train.batch_size)) {
            Some(values) if values <= MAX_VALUES => Ok(()),
            _ => {
                let problem = format!(
                    "{} images of {image_size} pixels a side have more than {MAX_VALUES} values, the most in one batch; \
                     lower it and raise train.accumulate instead",
                    self.train.batch_size
                );
                wrong("train.batch_size", problem)
            }
        }
    }
}

/// Refuses what no system takes for a path.
fn path_like(key: &'static str, path: &str) -> Result<(), RunConfigError> {
    if path.len() > MAX_PATH {
        return wrong(key, format!("has {} bytes; at most {MAX_PATH} are accepted", path.len()));
    }
    match path.contains(char::is_control) {
        true => wrong(key, "has a control character"),
        false => Ok(()),
    }
}

fn between(key: &'static str, value: f64, low: f64, high: f64) -> Result<(), RunConfigError> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => wrong(key, format!("{} is not between {low} and {}", number(value), number(high))),
    }
}

/// A number for a message; never 308 digits.
fn number(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || (1e-5..1e16).contains(&size) => value.to_string(),
        size if size.is_finite() => format!("{value:e}"),
        _ => value.to_string(),
    }
}

fn wrong(key: &'static str, problem: impl Into<String>) -> Result<(), RunConfigError> {
    Err(RunConfigError::value(key, problem))
}
