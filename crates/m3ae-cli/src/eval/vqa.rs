//! Question answering: every question of a split, each image encoded once.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use burn::prelude::Device;
use indicatif::{ProgressBar, ProgressStyle};
use m3ae::{Crop, Model, ModelError, draw};
use m3ae_data::{ImageSources, Question};
use m3ae_eval::{
    AnswerType, CALIBRATION_BINS, Case, Confusion, Evaluation, Prediction, Scores, calibration, choose_cases,
    vqa_scores,
};
use m3ae_image::DecodeOptions;

use super::benchmark::Split;
use super::job::Job;
use super::{protocol, questions, write};
use crate::blocks::blocks;
use crate::output::say;

/// Answers kept of each question.
const TOP: usize = 5;
/// Answers in the table of confusions.
const CONFUSED: usize = 12;

/// What the model said to all questions.
pub struct Said {
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

/// Scores a model, prints the table and writes the results. `None` when it was asked to stop.
pub fn run(job: &Job, device: &Device) -> Result<Option<Evaluation>> {
    let data = questions::open(job)?;
    protocol::check_data(&data, job.benchmark.set(), job.protocol)?;
    let mut opened = job.open(device)?;
    if opened.model.answers().is_none() {
        let advice = "its answers are taken from the prepared set, whose vocabulary must be the one it was trained with: prepare the \
                      set anew (`m3ae prepare --vocabulary all` as published, or `--vocabulary train`) into another folder, and name \
                      that with --prepared; or name the answers with --answers";
        opened.model = match opened.model.with_answers(data.vocabulary.answers().to_vec()) {
            Err(error @ ModelError::OtherAnswers { .. }) => return Err(error).context(advice),
            named => named?,
        };
    }
    let model = &opened.model;
    let answers = model.answers().unwrap_or_default().to_vec();
    let mut findings = protocol::find(&answers, &data, job.split, job.protocol)?;
    let of_answers = blake3::hash(answers.join("\n").as_bytes()).to_hex().to_string();
    let inputs = job.inputs(&opened, &data.path, &[("answers", of_answers)])?;
    let same_vocabulary = data.vocabulary.answers() == answers;
    let Some(said) = ask(job, model, &data.questions, same_vocabulary)? else { return Ok(None) };
    findings.notes.extend(job.split_note().map(str::to_owned));
    if said.truncated > 0 {
        findings.notes.push(format!(
            "{} questions are longer than {} tokens and lost their end.",
            said.truncated,
            model.max_length()
        ));
    }
    let predictions = unique_ids(said.predictions, &mut findings.notes);

    let judged: Vec<(f64, f64)> = predictions.iter().map(|p| (p.confidence().unwrap_or_default(), p.score)).collect();
    let scores = Scores::Vqa {
        scores: vqa_scores(&predictions, &job.bootstrap)?,
        calibration: calibration(&judged, CALIBRATION_BINS)?,
        confusion: Confusion::of_answers(&predictions, CONFUSED),
    };
    let mut evaluation = job.record(&opened, device, &data.path, inputs, scores);
    evaluation.protocol = findings.protocol;
    evaluation.validation_equals_test = findings.validation_equals_test;
    evaluation.validation_compared = job.split == Split::Test && data.validation_equals_test.is_some();
    evaluation.notes = findings.notes;
    let speed = predictions.len() as f64 / said.took.as_secs_f64().max(f64::MIN_POSITIVE);
    evaluation.environment.insert("questions_per_second".to_owned(), format!("{speed:.2}"));

    write::print(&evaluation);
    say!(
        "\n{} questions about {} images in {:.2} s: {speed:.1} questions/s, each image decoded and encoded once",
        predictions.len(),
        said.images,
        said.took.as_secs_f64()
    );
    let cases = cases(job, model, &data.questions, &predictions)?;
    let logits = job.logits.then_some(("logits", said.logits.as_slice()));
    let metadata = HashMap::from([("answers".to_owned(), serde_json::to_string(&answers)?)]);
    write::all(&job.out, &evaluation, Some(&predictions), &cases, logits, metadata)?;
    say!("table, predictions and report: {}", job.out.display());
    Ok(Some(evaluation))
}

/// Asks all questions. Those of one image follow each other in prepared files; each image is encoded once.
fn ask(job: &Job, model: &Model, questions: &[Question], same_vocabulary: bool) -> Result<Option<Said>> {
    let begun = Instant::now();
    let bar = ProgressBar::new(questions.len() as u64);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} questions, {per_sec}, {eta} left")?);
    let sources = ImageSources::default();
    let answers = model.answers().unwrap_or_default();
    let mut said = Said { predictions: Vec::new(), logits: Vec::new(), truncated: 0, images: 0, took: Duration::ZERO };
    let images: Vec<_> = questions.iter().map(|question| &question.sample.image).collect();
    for range in blocks(&images, model.batch_size()) {
        if job.stopped() {
            return Ok(None);
        }
        let block = &questions[range];
        let mut numbers: HashMap<&std::path::Path, usize> = HashMap::new();
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
            said.truncated += usize::from(text.truncated);
            pairs.push((number, text.ids));
        }
        said.images += crops.len();
        let images = model.encode_crops(&crops)?;
        let logits = model
            .vqa_logits(&images, &pairs)
            .with_context(|| format!("among questions {} to {}", first_id(block), last_id(block)))?;
        for (question, logits) in block.iter().zip(&logits) {
            said.predictions.push(prediction(question, logits, answers, same_vocabulary));
        }
        said.logits.extend(logits);
        bar.inc(block.len() as u64);
    }
    bar.finish_and_clear();
    said.took = begun.elapsed();
    Ok(Some(said))
}

fn first_id(block: &[Question]) -> i64 {
    block.first().map_or(0, |question| question.question_id)
}

fn last_id(block: &[Question]) -> i64 {
    block.last().map_or(0, |question| question.question_id)
}

fn read(model: &Model, sources: &ImageSources, question: &Question) -> Result<Crop> {
    let image = sources.decode(&question.sample.image, &DecodeOptions::default());
    let image = image.with_context(|| questions::place(question))?;
    model.crop(&image).with_context(|| questions::place(question))
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
fn cases(job: &Job, model: &Model, questions: &[Question], predictions: &[Prediction]) -> Result<Vec<Case>> {
    ensure!(questions.len() == predictions.len(), "as many predictions as questions");
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
    use super::*;
    use m3ae_data::CaptionSample;

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
