//! Question answering: every question of a split, each image encoded once.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use burn::prelude::Device;
use m3ae::{Crop, Model, ModelError, draw};
use m3ae_data::{ImageSources, Question};
use m3ae_eval::{
    AnswerType, CALIBRATION_BINS, Case, Confusion, Prediction, Scores, calibration, choose_cases, vqa_scores,
};
use m3ae_image::DecodeOptions;

use crate::blocks::blocks;
use crate::error::BenchmarkError;
use crate::event::{Event, Observer};
use crate::job::{Job, stopped};
use crate::names::Split;
use crate::results::{Results, Throughput};
use crate::selection::chosen_on;
use crate::{protocol, questions};

/// Answers kept of each question.
const TOP: usize = 5;
/// Answers in the table of confusions.
const CONFUSED: usize = 12;

/// The model's answers to all questions.
struct Answered {
    /// A prediction per question.
    pub predictions: Vec<Prediction>,
    /// `[questions][answers]`
    pub logits: Vec<Vec<f32>>,
    /// Questions that lost their end.
    pub truncated: usize,
    /// Different images.
    pub images: usize,
    /// How long it took, images' decoding included.
    pub took: Duration,
}

/// Scores a model on the questions of a split. `None` if it was asked to stop.
pub(crate) fn evaluate(
    job: &Job,
    device: &Device,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Results>, BenchmarkError> {
    let data = questions::open(job, observer)?;
    protocol::check_data(&data, job.benchmark.set(), job.protocol)?;
    let mut opened = job.open(device, observer)?;
    if opened.model.answers().is_none() {
        opened.model = match opened.model.with_answers(data.vocabulary.answers().to_vec()) {
            Err(error @ ModelError::OtherAnswers { .. }) => return Err(BenchmarkError::OtherAnswers(error)),
            named => named?,
        };
    }
    let model = &opened.model;
    let answers = model.answers().unwrap_or_default().to_vec();
    let mut findings = protocol::find(&answers, &data, job.split, job.protocol)?;
    let answers_hash = blake3::hash(answers.join("\n").as_bytes()).to_hex().to_string();
    let inputs = job.inputs(&opened, &data.path, &[("answers", answers_hash)])?;
    let same_vocabulary = data.vocabulary.answers() == answers;
    let Some(answered) = ask(model, &data.questions, same_vocabulary, stop, observer)? else { return Ok(None) };
    findings.notes.extend(job.split_note().map(str::to_owned));
    if answered.truncated > 0 {
        findings.notes.push(format!(
            "{} questions are longer than {} tokens and lost their end.",
            answered.truncated,
            model.max_length()
        ));
    }
    let predictions = unique_ids(answered.predictions, &mut findings.notes);

    let judged: Vec<(f64, f64)> = predictions.iter().map(|p| (p.confidence().unwrap_or_default(), p.score)).collect();
    let scores = Scores::Vqa {
        scores: vqa_scores(&predictions, &job.bootstrap)?,
        calibration: calibration(&judged, CALIBRATION_BINS)?,
        confusion: Confusion::of_answers(&predictions, CONFUSED),
    };
    let mut evaluation = job.record(&opened, &data.path, inputs, scores);
    evaluation.protocol = findings.protocol;
    evaluation.validation_equals_test = findings.validation_equals_test;
    evaluation.validation_compared = job.split == Split::Test && data.validation_equals_test.is_some();
    if job.split == Split::Test {
        evaluation.chosen_on = chosen_on(model.path(), &job.prepared, data.validation_equals_test);
    }
    evaluation.notes = findings.notes;
    let throughput =
        Throughput { items: predictions.len(), unit: "questions", images: answered.images, took: answered.took };
    let speed = format!("{:.2}", throughput.per_second());
    evaluation.environment.insert("questions_per_second".to_owned(), speed);
    let cases = cases(job, model, &data.questions, &predictions)?;
    let names = serde_json::Value::from(answers).to_string();
    Ok(Some(Results {
        evaluation,
        predictions: Some(predictions),
        cases,
        matrix: job.logits.then_some(("logits", answered.logits)),
        metadata: HashMap::from([("answers".to_owned(), names)]),
        throughput,
        partial: None,
    }))
}

/// Asks all questions. Those of one image follow each other in prepared files; each image is encoded once.
fn ask(
    model: &Model,
    questions: &[Question],
    same_vocabulary: bool,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Answered>, BenchmarkError> {
    let begun = Instant::now();
    observer(Event::Begin { total: questions.len() as u64, done: 0, unit: "questions" });
    let sources = ImageSources::default();
    let answers = model.answers().unwrap_or_default();
    let mut answered =
        Answered { predictions: Vec::new(), logits: Vec::new(), truncated: 0, images: 0, took: Duration::ZERO };
    let images: Vec<_> = questions.iter().map(|question| &question.sample.image).collect();
    for range in blocks(&images, model.batch_size()) {
        if stopped(stop) {
            observer(Event::End);
            return Ok(None);
        }
        let block = &questions[range];
        let mut numbers: HashMap<&Path, usize> = HashMap::new();
        let (mut crops, mut pairs) = (Vec::new(), Vec::with_capacity(block.len()));
        for question in block {
            let number = match numbers.get(question.sample.image.as_path()) {
                Some(&number) => number,
                None => {
                    crops.push(read(model, &sources, question)?);
                    numbers.insert(&question.sample.image, crops.len() - 1);
                    crops.len() - 1
                }
            };
            // An empty question of a data set is asked as it is: start and end.
            let text = model.tokenizer().encode(&question.sample.caption, model.max_length())?;
            answered.truncated += usize::from(text.truncated);
            pairs.push((number, text.ids));
        }
        answered.images += crops.len();
        let images = model.encode_crops(&crops)?;
        let logits = model
            .vqa_logits(&images, &pairs)
            .map_err(BenchmarkError::at(|| format!("among questions {} to {}", first_id(block), last_id(block))))?;
        for (question, logits) in block.iter().zip(&logits) {
            answered.predictions.push(prediction(question, logits, answers, same_vocabulary));
        }
        answered.logits.extend(logits);
        observer(Event::Advance(block.len() as u64));
    }
    observer(Event::End);
    answered.took = begun.elapsed();
    Ok(Some(answered))
}

fn first_id(block: &[Question]) -> i64 {
    block.first().map_or(0, |question| question.question_id)
}

fn last_id(block: &[Question]) -> i64 {
    block.last().map_or(0, |question| question.question_id)
}

fn read(model: &Model, sources: &ImageSources, question: &Question) -> Result<Crop, BenchmarkError> {
    let image = sources
        .decode(&question.sample.image, &DecodeOptions::default())
        .map_err(|source| BenchmarkError::Image { place: questions::place(question), source })?;
    model.crop(&image).map_err(BenchmarkError::at(|| questions::place(question)))
}

fn prediction(question: &Question, logits: &[f32], answers: &[String], same_vocabulary: bool) -> Prediction {
    let top = m3ae::top_answers(logits, answers, TOP);
    let score = top.first().map_or(0.0, |best| match same_vocabulary {
        // The last of equal classes counts, as the reference's targets have it.
        true => {
            question.targets.iter().rev().find(|(class, _)| *class == best.class).map_or(0.0, |&(_, s)| f64::from(s))
        }
        false => f64::from(u8::from(question.answers.contains(&best.answer))),
    });
    Prediction {
        question_id: question.question_id,
        image_id: question.image_id.clone(),
        question: question.sample.caption.clone(),
        answers: question.answers.clone(),
        answer_type: if question.closed { AnswerType::Closed } else { AnswerType::Open },
        question_type: question.question_type.clone(),
        top: top.into_iter().map(|answer| (answer.answer, answer.probability)).collect(),
        score,
    }
}

/// Sets exist whose question ids are not unique: there, questions are numbered in the file's order.
fn unique_ids(mut predictions: Vec<Prediction>, notes: &mut Vec<String>) -> Vec<Prediction> {
    let ids: HashSet<i64> = predictions.iter().map(|prediction| prediction.question_id).collect();
    if ids.len() < predictions.len() {
        notes.push(
            "Question ids occur more than once in this set: questions are numbered in the file's order instead.".into(),
        );
        for (number, prediction) in predictions.iter_mut().enumerate() {
            prediction.question_id = number as i64;
        }
    }
    predictions
}

/// Right and wrong cases with their pictures, and where the model looked.
fn cases(
    job: &Job,
    model: &Model,
    questions: &[Question],
    predictions: &[Prediction],
) -> Result<Vec<Case>, BenchmarkError> {
    let sources = ImageSources::default();
    let mut cases = Vec::new();
    for right in [true, false] {
        for number in choose_cases(predictions, right, job.cases, job.bootstrap.seed) {
            let crop = read(model, &sources, &questions[number])?;
            let text = questions[number].sample.caption.as_str();
            let attention = match text.trim().is_empty() {
                true => None,
                false => {
                    let images = model.encode_crops(std::slice::from_ref(&crop))?;
                    let maps = model.attention(&images, &[(0, text)])?;
                    maps.first().map(|map| draw(&crop, Some(map))).transpose()?
                }
            };
            cases.push(Case { prediction: predictions[number].clone(), image: Some(draw(&crop, None)?), attention });
        }
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use m3ae_data::CaptionSample;

    use super::*;

    fn question(image: &str) -> Question {
        Question {
            sample: CaptionSample { id: String::new(), image: image.into(), caption: "what".into() },
            image_id: image.into(),
            question_id: 3,
            answers: vec!["b".into()],
            targets: vec![(1, 0.3)],
            closed: false,
            question_type: Some("organ".into()),
        }
    }

    #[test]
    fn the_score_is_the_target_of_the_answer_given() {
        let names = ["a", "b"].map(String::from);
        let score = |logits: &[f32], same| prediction(&question("x"), logits, &names, same).score;
        assert!((score(&[0.0, 1.0], true) - 0.3).abs() < 1e-6);
        assert_eq!((score(&[1.0, 0.0], true), score(&[0.0, 1.0], false)), (0.0, 1.0));
    }

    #[test]
    fn ids_that_repeat_become_numbers_with_a_note() {
        let names = ["a".to_owned()];
        let list: Vec<Prediction> = (0..2).map(|_| prediction(&question("x"), &[0.0], &names, false)).collect();
        let mut notes = Vec::new();
        let ids: Vec<i64> = unique_ids(list, &mut notes).iter().map(|p| p.question_id).collect();
        assert_eq!((ids, notes.len()), (vec![0, 1], 1));
    }
}
