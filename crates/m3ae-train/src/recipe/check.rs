//! What no run could be made of, found before anything starts.

use super::{RunConfig, RunConfigError, TaskKind};

impl RunConfig {
    pub(super) fn validate(&self) -> Result<(), RunConfigError> {
        let name = &self.run.name;
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return wrong("run.name", format!("`{name}` cannot be a folder's name"));
        }
        self.validate_data()?;
        self.validate_counts()?;
        self.validate_ranges()
    }

    fn validate_data(&self) -> Result<(), RunConfigError> {
        let data = &self.data;
        let sources = [data.roco.is_some(), data.phantom.is_some(), !data.sets.is_empty()];
        match sources.iter().filter(|&&given| given).count() {
            0 => {
                let problem = "no data set is given: --set data.sets='[\"roco\"]' for prepared ones, \
                               --set data.roco=<folder in ROCO's layout>, or --set data.phantom=<folder>";
                return wrong("data", problem.into());
            }
            1 => {}
            _ => return wrong("data", "more than one of `roco`, `phantom` and `sets` is given; keep one".into()),
        }
        let fine_tuning = self.task.kind != TaskKind::Pretraining;
        let initial = self.init.checkpoint.as_ref().is_some_and(|name| !name.is_empty());
        if data.phantom.is_none() && self.text.tokenizer.is_none() && !initial {
            let problem = "is missing: a folder with vocab.json and merges.txt, tokenizer.json, or vocab.txt";
            return wrong("text.tokenizer", problem.into());
        }
        if fine_tuning && data.roco.is_some() {
            return wrong("data.roco", "fine-tuning reads prepared files: `m3ae prepare`, then data.sets".into());
        }
        if fine_tuning && data.sets.len() > 1 {
            return wrong("data.sets", format!("fine-tuning takes one set, not {}", data.sets.len()));
        }
        if !data.weights.is_empty() && data.weights.len() != data.sets.len() {
            let problem = format!("{} weights for {} sets: one for each", data.weights.len(), data.sets.len());
            return wrong("data.weights", problem);
        }
        if self.init.keep_head && (!fine_tuning || !initial) {
            return wrong("init.keep_head", "is for fine-tuning from an init.checkpoint".into());
        }
        Ok(())
    }

    fn validate_counts(&self) -> Result<(), RunConfigError> {
        // Image-text matching needs a matched and an unmatched pair.
        let least_batch = if self.task.kind == TaskKind::Pretraining { 2 } else { 1 };
        match (self.train.steps, self.train.epochs) {
            (Some(_), Some(_)) => return wrong("train", "both `steps` and `epochs` are given; keep one".into()),
            (None, None) => return wrong("train", "give either `steps` or `epochs`".into()),
            _ => {}
        }
        for (key, value, least) in [
            ("train.batch_size", self.train.batch_size, least_batch),
            ("train.steps", self.train.steps.unwrap_or(1), 1),
            ("train.epochs", self.train.epochs.unwrap_or(1), 1),
            ("train.accumulate", self.train.accumulate, 1),
            ("train.devices", self.train.devices, 1),
            ("task.false_texts", self.task.false_texts, 1),
            ("text.max_length", self.text.max_length, 3),
            ("log.every", self.log.every, 1),
            ("log.validate_every", self.log.validate_every.unwrap_or(1), 1),
            ("log.validation_samples", self.log.validation_samples.unwrap_or(1), 1),
            ("checkpoint.keep", self.checkpoint.keep, 1),
        ] {
            if value < least {
                return wrong(key, format!("{value} is too small; it must be at least {least}"));
            }
        }
        let (accumulate, devices) = (self.train.accumulate, self.train.devices);
        if !accumulate.is_multiple_of(devices) {
            let problem = format!("{accumulate} batches cannot be shared evenly by train.devices = {devices}");
            return wrong("train.accumulate", problem);
        }
        Ok(())
    }

    fn validate_ranges(&self) -> Result<(), RunConfigError> {
        let train = &self.train;
        for (key, value, low, high) in [
            ("train.learning_rate", train.learning_rate, f64::MIN_POSITIVE, 1.0),
            ("train.end_learning_rate", train.end_learning_rate, 0.0, train.learning_rate),
            ("train.lr_multiplier_head", train.lr_multiplier_head, 0.0, 1e6),
            ("train.lr_multiplier_multi_modal", train.lr_multiplier_multi_modal, 0.0, 1e6),
            ("train.weight_decay", train.weight_decay, 0.0, 1.0),
            ("train.warmup", train.warmup, 0.0, train.steps.map_or(f64::MAX, |steps| steps as f64)),
            ("train.decay_power", train.decay_power, 0.0, 100.0),
            ("train.clip_norm", train.clip_norm.unwrap_or(1.0), f64::MIN_POSITIVE, f64::MAX),
            ("data.max_skipped_share", self.data.max_skipped_share, 0.0, 1.0),
            ("checkpoint.minutes", self.checkpoint.minutes, 0.0, 1e6),
            ("objectives.mlm", self.objectives.mlm, 0.0, 1e6),
            ("objectives.mim", self.objectives.mim, 0.0, 1e6),
            ("objectives.itm", self.objectives.itm, 0.0, 1e6),
        ] {
            if !(low..=high).contains(&value) {
                return wrong(key, format!("{value} is not between {low} and {high}"));
            }
        }
        Ok(())
    }
}

fn wrong(key: &'static str, problem: String) -> Result<(), RunConfigError> {
    Err(RunConfigError::Value { key, problem })
}
