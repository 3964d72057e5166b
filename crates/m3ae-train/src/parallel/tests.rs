//! Several devices, gradient checkpointing and bfloat16 give one device's gradient, each within its rounding.

use std::sync::Mutex;

use burn::prelude::*;
use m3ae_data::{CaptionBatch, CaptionSample, Question};
use m3ae_model::{ClipVisionConfig, FusionConfig, HeadsConfig, M3ae, M3aeConfig, MimConfig, Precision, TextConfig};

use super::Work;
use crate::initial::draw_weights;
use crate::metrics::Sums;
use crate::optimizer::{AdamW, AdamWConfig, gradient_norms};
use crate::tasks::QuestionAnswering;

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
fn step(devices: &[Device], precision: Precision) -> (Vec<(String, f64)>, f64, Tensor<2>) {
    let model = model(&devices[0]);
    let (task, batches) = batches();
    let mut sums = Sums::default();
    let work = Work { task: &task, batches: &batches, first: 0, precision };
    let gradients = work.gradients(&model, devices, &mut sums).unwrap().unwrap();
    let (norms, loss) = (gradient_norms(&model, &gradients), sums.means().get("vqa_loss").unwrap());
    let model = AdamW::new(AdamWConfig::published(1e-3)).step(model, gradients, 1.0);
    // A second step finds the parameters where and as they were.
    let again = work.gradients(&model, devices, &mut sums).unwrap().unwrap();
    assert!(gradient_norms(&model, &again).total > 0.0);
    let weight = model.multi_modal_vision_proj.weight.val().inner();
    (norms.by_parameter.into_iter().collect(), loss, weight)
}

fn compare(other: &[Device], precision: Precision, tolerance: f64) {
    let one = Device::default().autodiff();
    let (expected, loss, weight) = step(&[one], Precision::F32);
    let (found, other_loss, other_weight) = step(other, precision);
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
    let device = Device::default().autodiff();
    compare(&[device.clone(), device], Precision::F32, 1e-5);
}

#[test]
fn more_devices_than_batches_leave_some_idle() {
    let device = Device::default().autodiff();
    compare(&vec![device; 5], Precision::F32, 1e-5);
}

#[test]
fn gradient_checkpointing_changes_nothing() {
    compare(&[Device::default().autodiff().gradient_checkpointing()], Precision::F32, 1e-6);
}

#[test]
fn bfloat16_products_give_the_gradient_within_their_rounding() {
    // Eight bits of mantissa, through a dozen layers forward and backward.
    compare(&[Device::default().autodiff()], Precision::Bf16, 0.1);
}
