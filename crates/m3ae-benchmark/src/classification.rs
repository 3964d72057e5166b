//! Classification of captioned images.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::prelude::Device;
use m3ae::{Model, top_answers};
use m3ae_data::arrow::LABEL_COLUMNS;
use m3ae_data::{ClassifiedSample, ImageSources, read_classes_arrow};
use m3ae_eval::{AnswerType, Labelled, Prediction, Scores, classification_scores};
use m3ae_image::DecodeOptions;

use crate::blocks::blocks;
use crate::error::BenchmarkError;
use crate::event::{Event, Observer};
use crate::job::{Job, stopped};
use crate::results::{Results, Throughput};

/// Classes kept of each sample.
const TOP: usize = 5;

/// Scores a model on the samples of a split. `None` if it was asked to stop.
pub(crate) fn evaluate(
    job: &Job,
    device: &Device,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Results>, BenchmarkError> {
    let column = LABEL_COLUMNS.iter().position(|&column| column == job.label);
    let column =
        column.ok_or_else(|| BenchmarkError::Label { label: job.label.clone(), known: LABEL_COLUMNS.to_vec() })?;
    let path = job.prepared_file(job.split, observer)?;
    let set = read_classes_arrow(&path)?;
    let names = &set.names[column];
    let opened = job.open(device, observer)?;
    let head = opened.model.config().heads.cls;
    if let Some(classes) = head.filter(|&classes| classes < names.len()) {
        return Err(BenchmarkError::Classes { classes, label: job.label.clone(), needed: names.len() });
    }
    let inputs = job.inputs(&opened, &path, &[("label", job.label.clone())])?;
    let begun = Instant::now();
    let Some(logits) = logits(&opened.model, &set.samples, stop, observer)? else { return Ok(None) };
    let took = begun.elapsed();
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
    let mut evaluation = job.record(&opened, &path, inputs, scores);
    evaluation.notes.push(format!("Classes of {}.", job.label));
    evaluation.notes.extend(job.split_note().map(str::to_owned));
    let predictions: Vec<Prediction> = (0_i64..)
        .zip(set.samples.iter().zip(&logits))
        .map(|(number, (sample, logits))| prediction(number, sample, column, logits, &names))
        .collect();
    let images = set.samples.iter().map(|sample| &sample.sample.image).collect::<std::collections::HashSet<_>>().len();
    let throughput = Throughput { items: logits.len(), unit: "samples", images, took };
    Ok(Some(Results {
        evaluation,
        predictions: Some(predictions),
        cases: Vec::new(),
        matrix: job.logits.then_some(("logits", logits)),
        metadata: HashMap::from([("classes".to_owned(), serde_json::Value::from(names).to_string())]),
        throughput,
        partial: None,
    }))
}

/// `[samples, classes]`
fn logits(
    model: &Model,
    samples: &[ClassifiedSample],
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Vec<Vec<f32>>>, BenchmarkError> {
    let sources = ImageSources::default();
    observer(Event::Begin { total: samples.len() as u64, done: 0, unit: "samples" });
    let images: Vec<&Path> = samples.iter().map(|sample| sample.sample.image.as_path()).collect();
    let mut rows = Vec::with_capacity(samples.len());
    for range in blocks(&images, model.batch_size()) {
        if stopped(stop) {
            observer(Event::End);
            return Ok(None);
        }
        let (mut crops, mut numbers, mut pairs) = (Vec::new(), HashMap::new(), Vec::new());
        for sample in &samples[range.clone()] {
            let path = sample.sample.image.as_path();
            let place = || format!("{}, image {}", path.display(), sample.image_id);
            let number = match numbers.get(path) {
                Some(&number) => number,
                None => {
                    let image = sources
                        .decode(path, &DecodeOptions::default())
                        .map_err(|source| BenchmarkError::Image { place: place(), source })?;
                    crops.push(model.crop(&image).map_err(BenchmarkError::at(place))?);
                    numbers.insert(path, crops.len() - 1);
                    crops.len() - 1
                }
            };
            pairs.push((number, model.tokenizer().encode(&sample.sample.caption, model.max_length())?.ids));
        }
        rows.extend(model.class_logits(&model.encode_crops(&crops)?, &pairs)?);
        observer(Event::Advance(range.len() as u64));
    }
    observer(Event::End);
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
