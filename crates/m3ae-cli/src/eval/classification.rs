//! Classification of captioned images.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::prelude::Device;
use indicatif::ProgressBar;
use m3ae::{Model, top_answers};
use m3ae_data::arrow::LABEL_COLUMNS;
use m3ae_data::{ClassifiedSample, ImageSources, read_classes_arrow};
use m3ae_eval::{AnswerType, Evaluation, Labelled, Prediction, Scores, classification_scores};
use m3ae_image::DecodeOptions;

use super::job::Job;
use super::write;
use crate::blocks::blocks;
use crate::output::say;

/// Classes kept of each sample.
const TOP: usize = 5;

/// Scores a model, prints the table and writes the results. `None` when it was asked to stop.
pub fn run(job: &Job, device: &Device) -> Result<Option<Evaluation>> {
    let column = LABEL_COLUMNS.iter().position(|&column| column == job.label).with_context(|| {
        format!("--label: there is no column {:?}; choose one of {}", job.label, LABEL_COLUMNS.join(", "))
    })?;
    let path = job.prepared_file(job.split)?;
    let set = read_classes_arrow(&path)?;
    let names = &set.names[column];
    let opened = job.open(device)?;
    let head = opened.model.config().heads.cls;
    if let Some(classes) = head.filter(|&classes| classes < names.len()) {
        bail!(
            "the model's classification head gives {classes} classes, and {} has {}: another --label, or another model",
            job.label,
            names.len()
        );
    }
    let inputs = job.inputs(&opened, &path, &[("label", job.label.clone())])?;
    let begun = Instant::now();
    let Some(logits) = logits(job, &opened.model, &set.samples)? else { return Ok(None) };
    let speed = logits.len() as f64 / begun.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
    let classes = logits.first().map_or(0, Vec::len);
    // A class may have no sample here, and then no name where the file carries none.
    let mut names = names.clone();
    names.extend((names.len()..classes).map(|class| format!("class {class}")));
    let labelled: Vec<Labelled> = set
        .samples
        .iter()
        .zip(&logits)
        .map(|(sample, logits)| Labelled {
            image_id: sample.image_id.clone(),
            truth: sample.labels[column],
            predicted: top_answers(logits, &names, 1).first().map_or(0, |answer| answer.class),
        })
        .collect();
    let scores = Scores::Classification { scores: classification_scores(&labelled, &names, &job.bootstrap)? };
    let mut evaluation = job.record(&opened, device, &path, inputs, scores);
    evaluation.notes.push(format!("Classes of {}.", job.label));
    evaluation.notes.extend(job.split_note().map(str::to_owned));
    write::print(&evaluation);
    say!("\n{} samples: {speed:.1} samples/s", logits.len());
    let predictions: Vec<Prediction> = (0_i64..)
        .zip(set.samples.iter().zip(&logits))
        .map(|(number, (sample, logits))| prediction(number, sample, column, logits, &names))
        .collect();
    let metadata = HashMap::from([("classes".to_owned(), serde_json::to_string(&names)?)]);
    let logits = job.logits.then_some(("logits", logits.as_slice()));
    write::all(&job.out, &evaluation, Some(&predictions), &[], logits, metadata)?;
    say!("table, predictions and report: {}", job.out.display());
    Ok(Some(evaluation))
}

fn logits(job: &Job, model: &Model, samples: &[ClassifiedSample]) -> Result<Option<Vec<Vec<f32>>>> {
    let sources = ImageSources::default();
    let bar = ProgressBar::new(samples.len() as u64);
    let images: Vec<&Path> = samples.iter().map(|sample| sample.sample.image.as_path()).collect();
    let mut rows = Vec::with_capacity(samples.len());
    for range in blocks(&images, model.batch_size()) {
        if job.stopped() {
            return Ok(None);
        }
        let (mut crops, mut numbers, mut pairs) = (Vec::new(), HashMap::new(), Vec::new());
        for sample in &samples[range.clone()] {
            let path = sample.sample.image.as_path();
            let place = || format!("{}, image {}", path.display(), sample.image_id);
            let number = match numbers.get(path) {
                Some(&number) => number,
                None => {
                    let image = sources.decode(path, &DecodeOptions::default()).with_context(place)?;
                    crops.push(model.crop(&image).with_context(place)?);
                    numbers.insert(path, crops.len() - 1);
                    crops.len() - 1
                }
            };
            pairs.push((number, model.tokenizer().encode(&sample.sample.caption, model.max_length())?.ids));
        }
        rows.extend(model.class_logits(&model.encode_crops(&crops)?, &pairs)?);
        bar.inc(range.len() as u64);
    }
    bar.finish_and_clear();
    Ok(Some(rows))
}

fn prediction(number: i64, sample: &ClassifiedSample, column: usize, logits: &[f32], names: &[String]) -> Prediction {
    let truth = sample.labels[column];
    let top = top_answers(logits, names, TOP);
    // The head is trained with a softmax, unlike that of question answering.
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    Prediction {
        question_id: number,
        image_id: sample.image_id.clone(),
        question: sample.sample.caption.clone(),
        answers: vec![names[truth].clone()],
        answer_type: AnswerType::Open,
        question_type: None,
        score: f64::from(u8::from(top.first().is_some_and(|best| best.class == truth))),
        top: top
            .into_iter()
            .map(|answer| (answer.answer, f64::from(logits[answer.class] - largest).exp() / sum))
            .collect(),
    }
}
