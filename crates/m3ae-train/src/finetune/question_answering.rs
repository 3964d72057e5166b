//! Visual question answering: choosing one of the known answers (`docs/spec.md`, section 2, "Fine-tuning losses").

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use m3ae_data::{CaptionBatch, Question, QuestionSet, read_questions_arrow, shared_vocabulary};
use m3ae_model::{HeadsConfig, M3ae, Texts, images};
use m3ae_prepare::{PrepareError, PrepareOptions, SetName, prepare};

use crate::error::{TrainError, required};
use crate::losses::vqa_loss;
use crate::metrics::{Measured, Metrics, Term};
use crate::recipe::RunConfig;
use crate::source::{Source, files};
use crate::task::{NewTask, Task, TaskSpec};

/// Question answering, as recipes name it.
pub(crate) static QUESTION_ANSWERING: TaskSpec = TaskSpec {
    name: "question-answering",
    metrics: &[
        ("vqa_loss", "question answering, loss"),
        ("vqa_score", "questions answered correctly"),
        ("closed_score", "  closed questions"),
        ("open_score", "  open questions"),
    ],
    open,
};

fn open(config: &RunConfig) -> Result<(Source, NewTask), TrainError> {
    let key = if config.data.phantom.is_some() { "data.phantom" } else { "data.sets" };
    let phantom = config.data.phantom.as_ref().map(|folder| phantom_questions(folder)).transpose();
    let phantom = phantom.map_err(TrainError::of_key(key))?;
    let read = |split: &str| -> Result<Option<QuestionSet>, TrainError> {
        let files = match &phantom {
            Some(folder) => vec![folder.join(SetName::Phantom.file_name(split))],
            None => files(config, split)?,
        };
        files.first().map(|path| read_questions_arrow(path)).transpose().map_err(TrainError::of_key(key))
    };
    let sets = [read("train")?, read("val")?, read("test")?];
    let answers = shared_vocabulary(&sets.iter().flatten().collect::<Vec<_>>());
    let answers = answers.map_err(TrainError::of_key(key))?.answers().to_vec();
    let mut splits = [const { Vec::new() }; 3];
    for (samples, set) in splits.iter_mut().zip(&sets) {
        let questions = set.iter().flat_map(|set| &set.questions);
        samples.extend(questions.map(|question| question.sample.clone()));
    }
    let mut source = Source::new(splits);
    let questions: Vec<Question> = sets.into_iter().flatten().flat_map(|set| set.questions).collect();
    answers.iter().for_each(|answer| source.add_to_digest(answer.as_bytes()));
    for (class, score) in questions.iter().flat_map(|question| &question.targets) {
        source.add_to_digest(&(*class as u64).to_le_bytes());
        source.add_to_digest(&score.to_le_bytes());
    }
    let task: NewTask = Box::new(move |_, tokenizer, vision| {
        let pad_id = tokenizer.specials().pad;
        Ok(Box::new(QuestionAnswering::new(&questions, answers, pad_id, vision.image_size())))
    });
    Ok((source, task))
}

/// The folder of the synthetic set's prepared questions, made where they are not there.
fn phantom_questions(folder: &Path) -> Result<PathBuf, PrepareError> {
    let out = folder.join("arrows");
    // Once they are there, several runs may read them at the same time.
    if !["train", "val", "test"].into_iter().all(|split| out.join(SetName::Phantom.file_name(split)).is_file()) {
        // Another run may be making them just now.
        let options = PrepareOptions { wait: true, ..PrepareOptions::default() };
        prepare(SetName::Phantom, folder, &out, &options, &mut |_| {})?;
    }
    Ok(out)
}

/// Question answering.
pub struct QuestionAnswering {
    answers: Vec<String>,
    /// By sample id.
    known: HashMap<String, Target>,
    pad_id: u32,
    image_size: usize,
}

struct Target {
    scores: Vec<(usize, f32)>,
    closed: bool,
}

impl QuestionAnswering {
    /// The task of answering these questions (of all splits) out of `answers`.
    #[must_use]
    pub fn new<'a>(
        questions: impl IntoIterator<Item = &'a Question>,
        answers: Vec<String>,
        pad_id: u32,
        image_size: usize,
    ) -> Self {
        let known = questions
            .into_iter()
            .map(|question| {
                let target = Target { scores: question.targets.clone(), closed: question.closed };
                (question.sample.id.clone(), target)
            })
            .collect();
        Self { answers, known, pad_id, image_size }
    }
}

impl Task for QuestionAnswering {
    fn heads(&self) -> HeadsConfig {
        HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false).with_vqa(Some(self.answers.len()))
    }

    fn step(
        &self,
        model: &M3ae,
        samples: &CaptionBatch,
        _number: u64,
        device: &Device,
    ) -> Result<Measured, TrainError> {
        let (size, answers) = (samples.len(), self.answers.len());
        let mut targets = vec![0.0_f32; size * answers];
        let mut closed = Vec::with_capacity(size);
        for (row, id) in samples.sample_ids.iter().enumerate() {
            let target = self.known.get(id).ok_or_else(|| TrainError::UnknownSample { id: id.clone() })?;
            target.scores.iter().for_each(|&(answer, score)| targets[row * answers + answer] = score);
            closed.push(f32::from(u8::from(target.closed)));
        }
        let closed_count = closed.iter().filter(|&&closed| closed > 0.0).count();
        let targets = Tensor::<1>::from_data(targets.as_slice(), device).reshape([size, answers]);
        let closed = Tensor::<1>::from_data(closed.as_slice(), device); // [B]

        let head = required(model.vqa_head.as_ref(), "vqa")?;
        let image = images(&samples.images, self.image_size, device);
        let texts = Texts::new(&samples.text_ids, self.pad_id, device);
        let logits = head.forward(model.forward_pooled(texts, image), model.precision()); // [B, answers]
        let loss = vqa_loss(logits.clone(), targets.clone());

        let best = logits.detach().argmax(1); // [B, 1]
        let scores = targets.gather(1, best).reshape([size]);
        let closed_scores = scores.clone() * closed;
        let all = scores.sum();
        let closed_sum = closed_scores.sum();
        let terms = vec![
            Term::mean("vqa_loss", &loss, size),
            Term::sum("vqa_score", all.clone(), size),
            Term::sum("closed_score", closed_sum.clone(), closed_count),
            Term::sum("open_score", all - closed_sum, size - closed_count),
        ];
        Ok(Measured { loss, terms, samples: size })
    }

    fn score(&self, metrics: &Metrics) -> f64 {
        metrics.get("vqa_score").unwrap_or(f64::NEG_INFINITY)
    }

    fn answers(&self) -> Option<&[String]> {
        Some(&self.answers)
    }
}
