//! Gradients and training trajectories: one step of ours is one step of the reference's.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use m3ae_model::M3ae;
use m3ae_train::{
    AdamW, AdamWConfig, Decay, GradientNorms, ObjectiveWeights, Rate, Schedule, gradient_norms, pretrain_step,
    three_passes,
};
use m3ae_weights::{ignorable, load, state_dict};

use super::fixture::{Fixture, Stored, Trajectory};
use super::forward::{Inputs, fine_tuning_losses};
use super::gradients::gradient;
use super::table::{Table, Tolerance};

/// A gradient passes through every layer twice, and twelve AdamW steps amplify what it differs by: ten times the
/// forward tolerance.
const CLOSE: Tolerance = Tolerance::Relative(1e-3);
/// Learning rates are the same arithmetic in double precision.
const SAME: Tolerance = Tolerance::Relative(1e-9);
/// A gradient below this share of its task's whole gradient is zero but for rounding: attention ignores what is added
/// to all keys alike and the retrieval loss what is added to all scores, so the gradients of these biases are exactly
/// zero in real numbers and up to 1e-7 in float32.
const ROUNDING: f64 = 1e-6;

/// Compares gradients per task, then both trajectories.
pub fn compare(fixture: &mut Fixture, device: &Device, table: &mut Table) -> Result<()> {
    let device = device.clone().autodiff();
    // The reference's trajectories were made without dropout.
    (fixture.config.text.dropout, fixture.config.fusion.dropout) = (0.0, 0.0);
    let mut model = fixture.config.init(&device)?;
    load(&mut model, &fixture.checkpoint)?;
    let inputs = Inputs::read(fixture, &device)?;

    for task in ["mlm", "mim", "itm", "vqa", "cls", "irtr"] {
        if fixture.expected.grad_norms.contains_key(task) {
            task_gradients(task, &model, fixture, &inputs, table)?;
        }
    }
    if let Some(trajectory) = fixture.expected.pretrain_trajectory() {
        let tasks = ["mlm", "mim", "itm"];
        follow("pretrain", &tasks, trajectory, model.clone(), fixture, &inputs, table)?;
    }
    if let Some(trajectory) = fixture.expected.vqa_trajectory() {
        follow("vqa", &["vqa"], trajectory, model, fixture, &inputs, table)?;
    }
    Ok(())
}

/// The losses of the pre-training or fine-tuning tasks.
fn losses(model: &M3ae, fixture: &mut Fixture, inputs: &Inputs) -> Result<BTreeMap<&'static str, Tensor<1>>> {
    let mut losses = fine_tuning_losses(model, fixture, inputs)?;
    if let (Some(_), Some(_), Some(_)) = (&model.mlm_head, &model.mim_head, &model.itm_head) {
        let output = three_passes(model, &inputs.batch)?;
        losses.extend(output.losses());
    }
    Ok(losses)
}

fn task_gradients(task: &str, model: &M3ae, fixture: &mut Fixture, inputs: &Inputs, table: &mut Table) -> Result<()> {
    let loss =
        losses(model, fixture, inputs)?.remove(task).with_context(|| format!("the checkpoint has no {task} head"))?;
    let gradients = GradientsParams::from_grads(loss.backward(), model);
    let norms = gradient_norms(model, &gradients);
    let rounding = ROUNDING * norms.total;
    let theirs = fixture.expected.grad_norms[task].clone();
    compare_norms(&format!("grad norms {task}"), &norms.by_parameter, &theirs, rounding, table);

    let prefix = format!("grad_{task}.");
    for name in fixture.names_with_prefix(&prefix)? {
        let parameter = &name[prefix.len()..];
        let Some(Stored { values, .. }) = fixture.get(&name)? else { continue };
        match gradient(model, &gradients, parameter) {
            Some(ours) => table.compare_slices(name, &ours, &values, CLOSE, rounding),
            None => bail!("{name}: the model has no gradient for {parameter}"),
        }
    }
    Ok(())
}

/// One row for the worst of many norms.
fn compare_norms(
    name: &str,
    ours: &BTreeMap<String, f64>,
    theirs: &BTreeMap<String, f64>,
    rounding: f64,
    table: &mut Table,
) {
    let error = |name: &String, theirs: f64| {
        let difference = ours.get(name).map_or(f64::INFINITY, |ours| (ours - theirs).abs());
        if difference <= rounding { 0.0 } else { difference / theirs.abs().max(rounding) }
    };
    let worst = theirs
        .iter()
        .filter(|(name, _)| ignorable(name).is_none())
        .map(|(name, &norm)| (error(name, norm), name, norm))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, parameter, norm)) = worst {
        let row = format!("{name}: worst of {}, {parameter}", theirs.len());
        let ours = ours.get(parameter).copied().unwrap_or(f64::NAN);
        table.compare_slices(row, &[ours], &[norm], CLOSE, rounding);
    }
}

/// Trains on the one batch as the reference did, and compares step by step.
fn follow(
    name: &str,
    tasks: &[&str],
    theirs: Trajectory,
    mut model: M3ae,
    fixture: &mut Fixture,
    inputs: &Inputs,
    table: &mut Table,
) -> Result<()> {
    let (config, schedule) = theirs.settings(&fixture.optimisation)?;
    let mut optimizer = AdamW::new(config);
    let mut worst = Worst::default();
    for (step, record) in theirs.steps.iter().enumerate() {
        let factor = schedule.factor(step);
        for (group, &rate) in [Rate::Base, Rate::Head, Rate::MultiModal].iter().zip(record.lrs.iter().step_by(2)) {
            worst.learning_rate.note(optimizer.config().rate(*group, factor), rate);
        }
        let (total, ours) = total_loss(name, &model, fixture, inputs)?;
        for (task, ours) in tasks.iter().zip(ours) {
            let theirs =
                record.losses.get(*task).with_context(|| format!("expected.json: step {step} lacks {task}"))?;
            worst.loss.note(ours, *theirs);
        }
        let gradients = GradientsParams::from_grads(total.backward(), &model);
        let GradientNorms { total, .. } = gradient_norms(&model, &gradients);
        worst.gradient.note(total, record.grad_norm);
        model = optimizer.step(model, gradients, factor);
    }
    let steps = theirs.steps.len();
    table.compare_value(
        format!("{name}: learning rates of {steps} steps"),
        worst.learning_rate.ours,
        Some(worst.learning_rate.theirs),
        SAME,
    );
    table.compare_value(format!("{name}: losses of {steps} steps"), worst.loss.ours, Some(worst.loss.theirs), CLOSE);
    table.compare_value(
        format!("{name}: gradient norms of {steps} steps"),
        worst.gradient.ours,
        Some(worst.gradient.theirs),
        CLOSE,
    );
    compare_norms(
        &format!("{name}: final parameter norms"),
        &parameter_norms(&model)?,
        &theirs.final_norms,
        0.0,
        table,
    );
    Ok(())
}

/// The sum to minimise and each task's loss. Pre-training takes the shared encodings: what `m3ae pretrain` runs.
fn total_loss(name: &str, model: &M3ae, fixture: &mut Fixture, inputs: &Inputs) -> Result<(Tensor<1>, Vec<f64>)> {
    let (total, parts) = if name == "pretrain" {
        let output = pretrain_step(model, &inputs.batch)?;
        let losses = output.losses().into_iter().map(|(_, loss)| loss).collect();
        (output.total(ObjectiveWeights::default()), losses)
    } else {
        let loss =
            fine_tuning_losses(model, fixture, inputs)?.remove(name).context("the checkpoint has no vqa head")?;
        (loss.clone(), vec![loss])
    };
    let parts = parts.into_iter().map(|loss| Ok(f64::from(loss.detach().try_into_scalar::<f32>()?)));
    Ok((total, parts.collect::<Result<_>>()?))
}

fn parameter_norms(model: &M3ae) -> Result<BTreeMap<String, f64>> {
    let mut norms = BTreeMap::new();
    for tensor in state_dict(&model.valid()) {
        let name = tensor.name.clone();
        let values: Vec<f32> =
            burn::store::bridge::into_data(tensor)?.try_into_vec().map_err(|e| anyhow::anyhow!("{name}: {e:?}"))?;
        norms.insert(name, values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt());
    }
    Ok(norms)
}

/// The pair with the largest relative difference so far.
#[derive(Default)]
struct WorstPair {
    ours: f64,
    theirs: f64,
}

#[derive(Default)]
struct Worst {
    learning_rate: WorstPair,
    loss: WorstPair,
    gradient: WorstPair,
}

impl WorstPair {
    fn note(&mut self, ours: f64, theirs: f64) {
        let error = |ours: f64, theirs: f64| if ours == theirs { 0.0 } else { (ours - theirs).abs() / theirs.abs() };
        // A NaN of ours is worse than anything.
        let now = error(ours, theirs);
        if now.is_nan() || now >= error(self.ours, self.theirs) {
            *self = Self { ours, theirs };
        }
    }
}

impl Trajectory {
    /// The optimiser and schedule that made it: rates and multipliers from its own learning rates at the end of
    /// warm-up, the rest from `config.json`.
    fn settings(&self, optimisation: &super::fixture::Optimisation) -> Result<(AdamWConfig, Schedule)> {
        let total = self.steps.len();
        let warmup = optimisation.warmup_steps;
        let warmup = if warmup < 1.0 { warmup * total as f64 } else { warmup } as usize;
        let peak = &self.steps.get(warmup).context("expected.json: the warm-up is longer than the trajectory")?.lrs;
        let [base, _, head, _, multi_modal, _] = peak[..] else {
            bail!("expected.json: {} learning rates in a step; six groups are expected", peak.len())
        };
        let config = AdamWConfig {
            lr_multiplier_head: head / base,
            lr_multiplier_multi_modal: multi_modal / base,
            weight_decay: optimisation.weight_decay,
            ..AdamWConfig::published(base)
        };
        let (end, power) = (optimisation.end_lr, optimisation.decay_power);
        Ok((config, Schedule { base, end, warmup, total, decay: Decay::Polynomial, power }))
    }
}
