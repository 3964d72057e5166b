//! A task of the benchmark with one seed: fine-tuned, except for zero-shot retrieval, and scored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::prelude::Device;
use m3ae::OpenOptions;
use m3ae_benchmark::{Benchmark, Job, RECORD, Split, prepare_absent, prepared_path};
use m3ae_eval::{Bootstrap, Evaluation, Finished, read_evaluation};
use m3ae_files::hash_file;
use m3ae_prepare::SetName;
use m3ae_train::{CheckpointError, RunConfig, TrainError};

use super::{BenchmarkArgs, Inputs, changes_of};
use crate::backend::Backend;
use crate::environment;
use crate::eval;
use crate::output::say;
use crate::progress::Bar;
use crate::training::{FinetuneTask, Stop, perform};

/// The keys of a recipe that do not affect the result, by section; no keys mean the whole section.
const HARMLESS: [(&str, &[&str]); 3] =
    [("run", &["directory", "name"]), ("data", &["workers", "cache_mib", "prepared"]), ("checkpoint", &[])];

/// The settings that all tasks share.
pub struct Runner<'a> {
    pub args: &'a BenchmarkArgs,
    pub backend: Backend,
    /// The pre-trained model.
    pub model: String,
    /// Hash of its weights.
    pub weights: String,
    pub stop: Stop,
}

/// A benchmark with the seed of its fine-tuning, or without fine-tuning.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub benchmark: Benchmark,
    pub seed: Option<u64>,
}

impl Task {
    /// The task's name with its seed.
    pub fn title(&self) -> String {
        match self.seed {
            Some(seed) => format!("{}, seed {seed}", self.name()),
            None => self.name(),
        }
    }

    /// The task's name in the table.
    fn name(&self) -> String {
        match (self.benchmark, self.seed) {
            (Benchmark::Roco, None) => "roco, zero-shot".to_owned(),
            (Benchmark::Roco, Some(_)) => "roco, fine-tuned".to_owned(),
            (benchmark, _) => benchmark.name().to_owned(),
        }
    }

    /// The name of its folders.
    fn folder(&self) -> String {
        let name = self.benchmark.name();
        self.seed.map_or_else(|| format!("{name}-zero-shot"), |seed| format!("{name}-seed{seed}"))
    }

    /// Checks that its recipe is valid.
    pub fn check(&self, runner: &Runner<'_>) -> Result<()> {
        self.config(runner).map(|_| ()).with_context(|| format!("the recipe of {}", self.benchmark.name()))
    }

    /// The resolved recipe; `None` without fine-tuning.
    fn config(&self, runner: &Runner<'_>) -> Result<Option<RunConfig>> {
        let args = runner.args;
        let changes = changes_of(self.benchmark, &args.overrides)?;
        let Some(seed) = self.seed else { return Ok(None) };
        let (origin, text) = finetuning(self.benchmark).recipe();
        let mut recipe: toml::Table = text.parse().with_context(|| origin.to_owned())?;
        // The model has the sizes of the pre-trained one; the recipe's preset is for training from random weights.
        if let Some(model) = recipe.get_mut("model").and_then(toml::Value::as_table_mut) {
            model.remove("preset");
        }
        let quoted = |path: &Path| toml::Value::from(path.display().to_string());
        let mut own = vec![
            format!("run.name={}", self.folder()),
            format!("run.directory={}", quoted(&args.out.join("runs"))),
            format!("run.seed={seed}"),
            format!("init.checkpoint={}", toml::Value::from(runner.model.as_str())),
            format!("data.prepared={}", quoted(&args.prepared)),
        ];
        own.extend(args.tokenizer.iter().map(|path| format!("text.tokenizer={}", quoted(path))));
        own.extend(changes);
        Ok(Some(RunConfig::parse(&toml::to_string(&recipe)?, origin, &own)?))
    }

    /// Fine-tunes and scores, or reuses an earlier result. `None` if it was asked to stop.
    pub fn perform(&self, runner: &Runner<'_>) -> Result<Option<Finished>> {
        if let Some(finished) = self.found(runner) {
            say!("reused: {}", finished.folder);
            return Ok(Some(finished));
        }
        let config = self.config(runner)?;
        let prepared = self.prepared(runner, config.as_ref());
        if self.benchmark != Benchmark::PhantomVqa {
            let set = self.benchmark.set();
            for split in [Split::Train, Split::Val, Split::Test] {
                let mut show = |event: m3ae_benchmark::Event<'_>| eval::show(&mut Bar::default(), &event);
                prepare_absent(set, set.default_raw(), &prepared, split, None, &mut show)?;
            }
        }
        if let Some(config) = &config {
            match perform(config, runner.backend, &runner.stop) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error)
                    if matches!(
                        error.downcast_ref(),
                        Some(TrainError::Checkpoint(CheckpointError::Changed { .. }))
                    ) =>
                {
                    let context = "the run was started with other settings, by another benchmark: choose another --out";
                    return Err(error.context(context));
                }
                Err(error) => return Err(error),
            }
        }
        let inputs = self.inputs(runner, &prepared, config.as_ref())?;
        let device = runner.backend.device()?;
        let job = self.job(runner, inputs, config.as_ref(), &device);
        let evaluation = eval::perform(&job, &device, runner.stop.flag())?;
        evaluation.map(|evaluation| self.finished(runner, evaluation)).transpose()
    }

    /// The result of an earlier call, if all its inputs are the same.
    pub fn found(&self, runner: &Runner<'_>) -> Option<Finished> {
        let evaluation = read_evaluation(&self.evaluations(runner).join(RECORD)).ok()?;
        let config = self.config(runner).ok()?;
        let inputs = self.inputs(runner, &self.prepared(runner, config.as_ref()), config.as_ref()).ok()?;
        let same = inputs.iter().all(|(name, value)| evaluation.inputs.get(name) == Some(value));
        let resampled = evaluation.bootstrap == bootstrap(runner.args);
        if same && resampled { self.finished(runner, evaluation).ok() } else { None }
    }

    fn finished(&self, runner: &Runner<'_>, evaluation: Evaluation) -> Result<Finished> {
        Ok(Finished {
            task: self.name(),
            seed: self.seed,
            evaluation,
            folder: self.evaluations(runner).display().to_string(),
            changes: changes_of(self.benchmark, &runner.args.overrides)?,
        })
    }

    /// The folder of its evaluation.
    fn evaluations(&self, runner: &Runner<'_>) -> PathBuf {
        runner.args.out.join("eval").join(self.folder())
    }

    /// The folder of its prepared files.
    fn prepared(&self, runner: &Runner<'_>, config: Option<&RunConfig>) -> PathBuf {
        match config.and_then(|config| config.data.phantom.as_ref()) {
            Some(phantom) => phantom.join("arrows"),
            None => runner.args.prepared.clone(),
        }
    }

    /// Hashes of everything that determines the result: the pre-trained weights, the recipe, the data of all splits.
    fn inputs(&self, runner: &Runner<'_>, prepared: &Path, config: Option<&RunConfig>) -> Result<Inputs> {
        let mut data = blake3::Hasher::new();
        for split in [Split::Train, Split::Val, Split::Test] {
            let hash = hash_file(&prepared_path(prepared, self.benchmark.set(), split))?.blake3;
            data.update(blake3::Hash::from_hex(hash)?.as_bytes());
        }
        let recipe = config.map(recipe_hash).transpose()?.unwrap_or_else(|| "none".to_owned());
        let candidates = runner.args.candidates.map_or_else(|| "all".to_owned(), |most| most.to_string());
        let mut inputs = BTreeMap::from([
            ("pretrained".to_owned(), runner.weights.clone()),
            ("recipe".to_owned(), recipe),
            ("splits".to_owned(), data.finalize().to_hex().to_string()),
        ]);
        if self.benchmark == Benchmark::Roco {
            inputs.insert("candidates_asked".to_owned(), candidates);
        }
        Ok(inputs)
    }

    fn job(&self, runner: &Runner<'_>, inputs: Inputs, config: Option<&RunConfig>, device: &Device) -> Job {
        let set = self.benchmark.set();
        let checkpoint =
            config.map_or_else(|| runner.model.clone(), |config| config.folder().join("model").display().to_string());
        Job {
            benchmark: self.benchmark,
            checkpoint,
            // A fine-tuned model's folder has its tokenizer.
            options: OpenOptions::new().tokenizer(runner.args.tokenizer.clone().filter(|_| self.seed.is_none())),
            split: Split::Test,
            protocol: None,
            prepared: self.prepared(runner, config),
            raw: match set {
                SetName::Phantom => config.and_then(|config| config.data.phantom.clone()).unwrap_or_default(),
                _ => set.default_raw().to_owned(),
            },
            out: self.evaluations(runner),
            // The folder belongs to this task and model alone.
            overwrite: true,
            bootstrap: bootstrap(runner.args),
            cases: 8,
            label: config.map(|config| config.task.label.clone()).unwrap_or_default(),
            candidates: runner.args.candidates,
            logits: false,
            inputs,
            environment: environment::record(device),
        }
    }
}

fn bootstrap(args: &BenchmarkArgs) -> Bootstrap {
    Bootstrap { resamples: args.resamples as usize, ..Bootstrap::default() }
}

/// The fine-tuning task of a benchmark.
fn finetuning(benchmark: Benchmark) -> FinetuneTask {
    match benchmark {
        Benchmark::VqaRad => FinetuneTask::VqaRad,
        Benchmark::Slake => FinetuneTask::Slake,
        Benchmark::VqaMed2019 => FinetuneTask::VqaMed2019,
        Benchmark::Melinda => FinetuneTask::Melinda,
        Benchmark::Roco => FinetuneTask::IrtrRoco,
        Benchmark::PhantomVqa => FinetuneTask::PhantomVqa,
    }
}

/// Hash of a resolved recipe without the keys that do not affect the result, and without the name of the pre-trained
/// model (its content is hashed separately).
fn recipe_hash(config: &RunConfig) -> Result<String> {
    let mut table: toml::Table = config.to_toml()?.parse()?;
    for (section, keys) in HARMLESS {
        match (table.get_mut(section).and_then(toml::Value::as_table_mut), keys) {
            (Some(_), []) => drop(table.remove(section)),
            (Some(found), keys) => keys.iter().for_each(|key| drop(found.remove(*key))),
            (None, _) => {}
        }
    }
    if let Some(init) = table.get_mut("init").and_then(toml::Value::as_table_mut) {
        init.remove("checkpoint");
    }
    Ok(blake3::hash(toml::to_string(&table)?.as_bytes()).to_hex().to_string())
}
