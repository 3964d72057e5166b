//! Several devices, gradient checkpointing and bfloat16 give one device's gradient, each within its rounding; a device
//! that fails ends the step and leaves nobody waiting.

use std::sync::{Arc, Barrier, Mutex};

use burn::prelude::*;
use m3ae_data::{CaptionBatch, CaptionSample, Question};
use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3ae, M3aeConfig, MimConfig, Precision, TextConfig};

use super::Work;
use super::barrier::{ParamsWithGrad, barrier};
use super::devices::{Devices, Exchange};
use super::sum::{Finish, Reducer};
use crate::error::TrainError;
use crate::finetune::QuestionAnswering;
use crate::metrics::{Measured, Metrics, Sums, Term};
use crate::optim::{AdamW, AdamWConfig, gradient_norms};
use crate::recipe::AllReduce;
use crate::recipe::draw_weights;
use crate::task::Task;

const SIDE: usize = 16;

fn model(device: &Device) -> M3ae {
    let config = M3aeConfig::new(
        ClipVisionConfig::new().with_image_size(SIDE).with_patch_size(8).with_width(64).with_layers(2),
        TextConfig::new()
            .with_vocab_size(20)
            .with_width(16)
            .with_layers(1)
            .with_heads(2)
            .with_intermediate(32)
            .with_max_positions(12)
            .with_dropout(0.0),
        FusionConfig::new().with_width(24).with_heads(4).with_layers(2).with_dropout(0.0),
        MimConfig::new().with_width(16).with_layers(1).with_heads(2).with_layer(Some(1)),
        HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false).with_vqa(Some(3)),
    );
    // The backend's generator belongs to the process: no other test may draw between seed and weights.
    static DRAWING: Mutex<()> = Mutex::new(());
    let _drawing = DRAWING.lock().unwrap();
    device.seed(11);
    let model = config.init(device).unwrap();
    draw_weights(&model);
    model
}

/// Four batches of two questions.
fn batches() -> (QuestionAnswering, Vec<CaptionBatch>) {
    let mut questions = Vec::new();
    let batches = (0..4_usize)
        .map(|index| {
            let ids: Vec<String> = (0..2).map(|i| format!("{index}/{i}")).collect();
            for (i, id) in ids.iter().enumerate() {
                questions.push(Question {
                    question_type: None,
                    sample: CaptionSample { id: id.clone(), image: "x".into(), caption: "y".into() },
                    image_id: "x".into(),
                    question_id: 0,
                    answers: vec![],
                    targets: vec![((index + i) % 3, 1.0)],
                    closed: i == 0,
                });
            }
            let images = (0..2 * 3 * SIDE * SIDE).map(|i| ((i * (index + 3)) as f32).sin()).collect();
            let text_ids = vec![vec![0, 5 + index as u32, 2], vec![0, 7, 8, 9 + index as u32, 2]];
            CaptionBatch {
                epoch: 0,
                index,
                sample_ids: ids,
                images,
                false_images: None,
                text_ids,
                false_texts: None,
                skipped: vec![],
            }
        })
        .collect();
    let answers = ["a", "b", "c"].map(String::from).to_vec();
    (QuestionAnswering::new(&questions, answers, 1, SIDE), batches)
}

/// Gradient norms by parameter, the loss, and the parameters after an update.
fn step(devices: &Devices, precision: Precision) -> (Vec<(String, f64)>, f64, Tensor<2>) {
    let model = model(&devices.all()[0]).with_precision(precision);
    let (task, batches) = batches();
    let mut sums = Sums::default();
    let work = Work { task: &task, batches: &batches, step: 0, first: 0 };
    let gradients = work.gradients(&model, devices, &mut sums).unwrap();
    let (norms, loss) = (gradient_norms(&model, &gradients), sums.means().get("vqa_loss").unwrap());
    let model = AdamW::new(AdamWConfig::published(1e-3)).step(model, gradients, 1.0);
    // A second step finds the parameters where and as they were.
    let again = work.gradients(&model, devices, &mut sums).unwrap();
    assert!(gradient_norms(&model, &again).total > 0.0);
    let weight = model.multi_modal_vision_proj.weight.val().inner();
    (norms.by_parameter.into_iter().collect(), loss, weight)
}

/// Adds as collectives do, between threads that all wait for each other.
#[derive(Debug)]
struct Threads {
    barrier: Barrier,
    parts: Mutex<Vec<Option<Tensor<1>>>>,
    sums: Mutex<usize>,
    /// Added by mistake.
    error: f32,
}

impl Threads {
    fn of(count: usize, error: f32) -> Arc<Self> {
        let (barrier, parts) = (Barrier::new(count), Mutex::new(vec![None; count]));
        Arc::new(Self { barrier, parts, sums: Mutex::new(0), error })
    }
}

impl Reducer for Threads {
    fn start(&self, number: usize, part: Tensor<1>) -> Finish {
        self.parts.lock().unwrap()[number] = Some(part);
        self.barrier.wait();
        let parts: Vec<_> = self.parts.lock().unwrap().iter().flatten().cloned().collect();
        self.barrier.wait();
        *self.sums.lock().unwrap() += usize::from(number == 0);
        let sum = parts.into_iter().reduce(|a, b| a + b).unwrap() + self.error;
        Box::new(move || sum)
    }
}

/// That many threads of the processor.
fn threads(count: usize) -> Devices {
    Devices::open(vec![Device::default(); count], AllReduce::Auto, false).unwrap().differentiating(false)
}

fn joined(count: usize, error: f32) -> Result<(Devices, Arc<Threads>), TrainError> {
    let reducer = Threads::of(count, error);
    let devices = Devices::checked(vec![Device::default(); count], Exchange::Collective(reducer.clone()))?;
    Ok((devices.differentiating(false), reducer))
}

fn compare(other: &Devices, precision: Precision, tolerance: f64) {
    let (expected, loss, weight) = step(&threads(1), Precision::F32);
    let (found, other_loss, other_weight) = step(other, precision);
    assert_eq!(expected.len(), found.len());
    assert!((loss - other_loss).abs() <= tolerance * loss, "{loss} {other_loss}");
    let largest = expected.iter().map(|(_, norm)| *norm).fold(0.0, f64::max);
    for ((name, a), (other_name, b)) in expected.iter().zip(&found) {
        assert_eq!(name, other_name);
        assert!((a - b).abs() <= tolerance * a.max(1e-3 * largest), "{name}: {a} {b}");
    }
    // Adam's first update moves each weight by about the learning rate, whatever the gradient's size.
    let difference = f64::from((weight - other_weight).abs().max().into_scalar::<f32>());
    assert!(difference <= 1e-3 * 4.0, "{difference}");
}

#[test]
fn two_devices_give_the_gradient_of_one() {
    compare(&threads(2), Precision::F32, 1e-5);
}

#[test]
fn more_devices_than_batches_leave_some_idle() {
    compare(&threads(5), Precision::F32, 1e-5);
}

#[test]
fn sums_by_collectives_give_the_gradient_of_one_device() {
    let (devices, reducer) = joined(2, 0.0).unwrap();
    compare(&devices, Precision::F32, 1e-5);
    // One to check, and two steps of several buckets.
    let sums = *reducer.sums.lock().unwrap();
    assert!(sums > 5 && sums % 2 == 1, "{sums}");
    // One of these has no batch, hence no gradient; it takes part all the same.
    compare(&joined(5, 0.0).unwrap().0, Precision::F32, 1e-5);
}

#[test]
fn copies_and_collectives_agree_to_the_bit_for_two_devices() {
    let ((copied, ..), (summed, ..)) =
        (step(&threads(2), Precision::F32), step(&joined(2, 0.0).unwrap().0, Precision::F32));
    assert_eq!(copied, summed);
}

#[test]
fn collectives_are_refused_where_there_are_none_and_where_they_miscalculate() {
    let open = |count, wanted| Devices::open(vec![Device::default(); count], wanted, false);
    let message = open(2, AllReduce::Collective).unwrap_err().to_string();
    assert!(message.contains("this backend cannot sum over its 2 devices by itself"), "{message}");
    assert!(open(1, AllReduce::Collective).unwrap().describe().is_none());
    for wanted in [AllReduce::Auto, AllReduce::Copy] {
        assert!(open(2, wanted).unwrap().describe().unwrap().contains("copied to the first"));
    }
    let message = joined(3, 0.5).unwrap_err().to_string();
    assert!(message.contains("the backend's sum over 3 devices gave 6.5 where 6 is right"), "{message}");
}

/// A task that fails on one batch in its own way.
struct Failing {
    task: QuestionAnswering,
    batch: u64,
    how: fn(Measured) -> Result<Measured, TrainError>,
}

impl Task for Failing {
    fn heads(&self) -> HeadsConfig {
        self.task.heads()
    }

    fn step(&self, model: &M3ae, samples: &CaptionBatch, number: u64, device: &Device) -> Result<Measured, TrainError> {
        let measured = self.task.step(model, samples, number, device)?;
        if number == self.batch { (self.how)(measured) } else { Ok(measured) }
    }

    fn score(&self, metrics: &Metrics) -> f64 {
        self.task.score(metrics)
    }
}

#[test]
fn a_device_that_fails_leaves_nobody_waiting() {
    let (task, batches) = batches();
    let model = model(&Device::default().autodiff());
    let mut work = Failing { task, batch: 0, how: Ok };
    let mut run = |batch, how| {
        (work.batch, work.how) = (batch, how);
        let work = Work { task: &work, batches: &batches, step: 0, first: 0 };
        work.gradients(&model, &joined(2, 0.0).unwrap().0, &mut Sums::default())
    };
    // Batches 0 and 2 are the first device's.
    for batch in [1, 2] {
        assert!(matches!(run(batch, |_| Err(TrainError::NoFalseTexts)), Err(TrainError::NoFalseTexts)));
    }
    for batch in [0, 3] {
        let problem = run(batch, |measured| {
            let terms = vec![Term::mean("vqa_loss", &(measured.loss.clone() * f64::NAN), 2)];
            Ok(Measured { terms, ..measured })
        });
        let error = problem.unwrap_err().to_string();
        assert!(error.contains("step 0: the vqa_loss is NaN") && error.contains("0/0, 0/1, 1/0"), "{error}");
    }
    assert!(matches!(run(3, |_| panic!("a test's")), Err(TrainError::DevicePanicked)));
    assert!(run(3, Ok).is_ok());
}

#[test]
fn the_barrier_unites_all_parameters_with_a_gradient_or_lets_nobody_pass() {
    let params = |ids: &[u64]| ids.iter().map(|&id| burn::module::ParamId::from(id)).collect::<ParamsWithGrad>();
    let meet = |first: Option<ParamsWithGrad>, others: Vec<Option<ParamsWithGrad>>| {
        let (leader, followers) = barrier(others.len());
        std::thread::scope(|scope| {
            let sides = followers.into_iter().zip(others);
            let others: Vec<_> = sides.map(|(follower, params)| scope.spawn(move || follower.wait(params))).collect();
            let first = leader.wait(first);
            std::iter::once(first).chain(others.into_iter().map(|thread| thread.join().unwrap())).collect::<Vec<_>>()
        })
    };
    let all = Some(params(&[1, 2, 3]));
    assert_eq!(meet(Some(params(&[1])), vec![Some(params(&[2])), Some(params(&[3, 1]))]), vec![all; 3]);
    assert_eq!(meet(None, vec![Some(params(&[1])); 2]), vec![None; 3]);
    assert_eq!(meet(Some(params(&[1])), vec![Some(params(&[1])), None]), vec![None; 3]);
}

#[test]
fn gradient_checkpointing_changes_nothing() {
    let one = Devices::open(vec![Device::default()], AllReduce::Auto, false).unwrap();
    compare(&one.differentiating(true), Precision::F32, 1e-6);
}

#[test]
fn bfloat16_products_give_the_gradient_within_their_rounding() {
    // Eight bits of mantissa, through a dozen layers forward and backward.
    compare(&threads(1), Precision::Bf16, 0.1);
}
