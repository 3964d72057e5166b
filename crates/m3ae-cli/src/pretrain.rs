//! `m3ae pretrain`: from a recipe to trained weights.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use burn::prelude::Device;
use indicatif::{ProgressBar, ProgressStyle};
use m3ae_train::{Observer, PretrainMetrics, RunConfig, RunFolder, Start, StepReport, Summary, pretrain};

use crate::{logging, memory};

/// The recipe that runs when none is named: what a first look should be.
const QUICKSTART: &str = include_str!("../../../configs/quickstart.toml");

/// Pre-train on images and captions. Without options: a small model on synthetic data, in minutes on a CPU.
#[derive(Debug, clap::Args)]
pub struct PretrainArgs {
    /// Recipe, such as configs/pretrain/roco-medicat.toml [default: configs/quickstart.toml, built in]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change a key of the recipe, such as train.steps=100 (can be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Remove an earlier run of the same name first
    #[arg(long)]
    overwrite: bool,
}

/// Runs the recipe and says how it went.
pub fn run(args: &PretrainArgs, device: &Device) -> Result<()> {
    let config = match &args.config {
        Some(path) => RunConfig::load(path, &args.overrides)?,
        None => RunConfig::parse(QUICKSTART, "configs/quickstart.toml", &args.overrides)?,
    };
    let mut folder = RunFolder::create(&config, args.overwrite)?;
    logging::start(Some(&folder.file("log.txt")))?;
    println!(
        "{}: seed {}, {} steps of {} samples",
        config.run.name,
        config.run.seed,
        config.train.steps,
        config.train.batch_size * config.train.accumulate
    );
    let mut progress = Progress::new(config.log.every);
    let summary = pretrain(&config, device, &mut folder, &mut progress)?;
    report(&summary);
    Ok(())
}

fn report(summary: &Summary) {
    let Summary { untrained, trained, .. } = summary;
    println!("\n{:<34} {:>10} {:>10}", "validation", "untrained", "trained");
    for (name, before, after) in [
        ("masked language modelling, loss", untrained.mlm_loss, trained.mlm_loss),
        ("masked tokens right", untrained.mlm_accuracy, trained.mlm_accuracy),
        ("masked image modelling, loss", untrained.mim_loss, trained.mim_loss),
        ("image-text matching, loss", untrained.itm_loss, trained.itm_loss),
        ("pairs judged rightly", untrained.itm_accuracy, trained.itm_accuracy),
    ] {
        println!("{name:<34} {before:>10.4} {after:>10.4}");
    }
    println!("\n{:.1} samples/s in training{}", summary.samples_per_second, memory::peak_sentence());
    match summary.skipped.as_slice() {
        [] => println!("all samples were usable"),
        skipped => {
            println!("{} samples left out (all in skipped.txt):", skipped.len());
            for skipped in skipped.iter().take(5) {
                println!("  {skipped}");
            }
        }
    }
    println!("weights, metrics and pictures: {}", summary.folder.display());
}

/// A bar on a terminal, plain lines elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    every: usize,
    steps: usize,
}

impl Progress {
    fn new(every: usize) -> Self {
        Self { bar: None, every, steps: 0 }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => println!("{text}"),
        }
    }
}

impl Observer for Progress {
    fn start(&mut self, start: &Start) {
        self.steps = start.steps;
        println!(
            "{:.1} M parameters; {} captions of {} images to train on, {} captions to validate on; {} tokens",
            start.parameters as f64 / 1e6,
            start.train_samples,
            start.train_images,
            start.val_samples,
            start.vocabulary,
        );
        for report in &start.initial {
            print!("{report}");
        }
        if start.truncated > 0 {
            println!("{} captions are longer than text.max_length and lose their end", start.truncated);
        }
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(start.steps as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {eta} left") {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, report: &StepReport) {
        let StepReport { metrics, .. } = report;
        let numbers = format!(
            "mlm {:.3} ({:.0} % right) | mim {:.3} | itm {:.3} ({:.0} % right) | {:.1} samples/s",
            metrics.mlm_loss,
            100.0 * metrics.mlm_accuracy,
            metrics.mim_loss,
            metrics.itm_loss,
            100.0 * metrics.itm_accuracy,
            report.samples_per_second,
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(report.step as u64);
                bar.set_message(numbers);
            }
            None if report.step.is_multiple_of(self.every) || report.step == self.steps => {
                let left = report.seconds / report.step as f64 * (self.steps - report.step) as f64;
                let left = Duration::from_secs(left as u64);
                println!(
                    "step {}/{} | {numbers} | lr {:.2e} | {left:?} left",
                    report.step, self.steps, report.learning_rate
                );
            }
            None => {}
        }
        if report.step == self.steps
            && let Some(bar) = &self.bar
        {
            bar.finish();
        }
    }

    fn validated(&mut self, step: usize, metrics: &PretrainMetrics) {
        self.line(&format!(
            "validation after {step} steps: mlm {:.4} ({:.1} % right) | mim {:.4} | itm {:.4} ({:.1} % right)",
            metrics.mlm_loss,
            100.0 * metrics.mlm_accuracy,
            metrics.mim_loss,
            metrics.itm_loss,
            100.0 * metrics.itm_accuracy,
        ));
    }
}
