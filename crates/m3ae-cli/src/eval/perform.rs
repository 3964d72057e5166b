//! Runs an evaluation: shows progress, writes the results, prints the table, and adds advice to errors.

use std::sync::atomic::AtomicBool;

use anyhow::{Error, Result};
use burn::module::Module;
use burn::prelude::Device;
use m3ae_benchmark::{BenchmarkError, Event, Job, ProtocolName, Results, evaluate, prepare_options};
use m3ae_eval::{Evaluation, Scores};
use m3ae_prepare::{SetName, ValChoice};

use super::table;
use crate::output::{say, say_error};
use crate::progress::Bar;

/// Scores the model, writes the results, then prints the table. `None` if it was asked to stop.
///
/// The results are written before the first line of the table: a reader that is gone, such as `| head`, cannot lose
/// them.
pub fn perform(job: &Job, device: &Device, stop: &AtomicBool) -> Result<Option<Evaluation>> {
    let mut bar = Bar::default();
    let done = evaluate(job, device, stop, &mut |event| show(&mut bar, &event));
    let Some(results) = done.map_err(advise)? else { return Ok(None) };
    results.write(&job.out)?;
    print(&results);
    let files = match results.predictions {
        Some(_) => "table, predictions and report",
        None => "table and report",
    };
    say!("{files}: {}", job.out.display());
    Ok(Some(results.evaluation))
}

/// Shows an event.
pub fn show(bar: &mut Bar, event: &Event<'_>) {
    match event {
        Event::Preparing { set, raw } => say!("preparing {set} from {} (once)", raw.display()),
        Event::Opened { model, took } => say!(
            "{}: {:.1} M parameters, images of {} pixels, texts of {} tokens at most, loaded in {:.2} s",
            model.path().display(),
            model.network().num_params() as f64 / 1e6,
            model.config().vision.image_size(),
            model.max_length(),
            took.as_secs_f64()
        ),
        Event::Begin { total, done, unit } => {
            if *done > 0 {
                say!("{done} of {total} {unit} were scored before; continuing");
            }
            bar.begin(*total, *done, unit);
        }
        Event::Advance(count) => bar.advance(*count),
        Event::LeftOut { path, error } => bar.line(|| say_error!("left out: {}: {error}", path.display())),
        Event::End => bar.end(),
        _ => {}
    }
}

fn print(results: &Results) {
    table::print(&results.evaluation);
    let (throughput, speed) = (&results.throughput, results.throughput.per_second());
    let (items, seconds) = (throughput.items, throughput.took.as_secs_f64());
    match results.evaluation.scores {
        Scores::Vqa { .. } => say!(
            "\n{items} questions about {} images in {seconds:.2} s: {speed:.1} questions/s, each image decoded and encoded once",
            throughput.images
        ),
        Scores::Classification { .. } => say!("\n{items} samples: {speed:.1} samples/s"),
        Scores::Retrieval { .. } => {
            say!("\n{items} pairs in {seconds:.2} s: {speed:.1} pairs/s, each image and text encoded once")
        }
    }
}

/// Adds advice in terms of the command line's options.
fn advise(error: BenchmarkError) -> Error {
    let advice = match &error {
        BenchmarkError::NotHere { set: SetName::Phantom, .. } => "`cargo xtask prepare phantom` makes it".to_owned(),
        BenchmarkError::NotHere { .. } => "datasets/README.md says where it comes from; name its folder with --raw, or the \
             folder of prepared files with --prepared"
            .to_owned(),
        BenchmarkError::OtherData { set, asked, .. } => {
            let vocabulary = match asked {
                ProtocolName::Published => "all",
                ProtocolName::Clean => "train",
            };
            let val = match prepare_options(*set, Some(*asked)).val {
                Some(ValChoice::CopyTest) => " --val copy-test",
                Some(ValChoice::Split) => " --val split",
                _ => "",
            };
            format!(
                "name files prepared for it with --prepared (`cargo xtask prepare {set} --vocabulary {vocabulary}{val} --out \
                 <another folder>`), or leave --protocol out to score these as what they are"
            )
        }
        BenchmarkError::OtherModel { .. } => "leave --protocol out to score it as what it is".to_owned(),
        BenchmarkError::OtherAnswers(_) => "the vocabulary of the prepared set must be the one the model was trained with: \
             prepare the set again (`cargo xtask prepare --vocabulary all` as published, or `--vocabulary train`) into another \
             folder, and name that with --prepared; or name the answers with --answers"
            .to_owned(),
        BenchmarkError::Taken { .. } | BenchmarkError::Unreadable { .. } => {
            "name another folder with --out, or replace the results there with --overwrite".to_owned()
        }
        BenchmarkError::Label { .. } => "choose another --label".to_owned(),
        BenchmarkError::Classes { .. } => "choose another --label, or another model".to_owned(),
        BenchmarkError::Open { .. } => "--checkpoint".to_owned(),
        _ => return error.into(),
    };
    match error {
        BenchmarkError::Open { checkpoint, source } => Error::new(source).context(format!("{advice} {checkpoint}")),
        error => {
            let problem = crate::output::chain(&Error::new(error));
            Error::msg(format!("{problem}; {advice}"))
        }
    }
}
