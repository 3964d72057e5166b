//! `m3ae-lab bench profile`: where a pre-training step's time goes, and what of it matrix products need at the least.

mod products;
mod samples;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::optim::GradientsParams;
use burn::prelude::*;
use m3ae_cli::backend::Backend;
use m3ae_cli::output::{say, say_error};
use m3ae_model::{FusionText, M3aeConfig};
use m3ae_train::pretrain::{self, Images, States};
use m3ae_train::{AdamW, AdamWConfig, ObjectiveWeights, PretrainBatch, gradient_norms, pretrain_step};
use serde::Serialize;

use super::operations::{self, Pairs, Products};
use super::step::{SizeArgs, describe};
use super::turns::{median, write_json};
use super::work::{Inputs, Kind, Size};
use products::Product;
use samples::Samples;

/// A pre-training step's time by part: encoders, fusion, heads, forward and backward of each, optimiser, and making the
/// batch.
///
/// Each part runs alone, on inputs that are cut off from the graph before it: its forward pass is timed, then the
/// backward pass of the sum of its outputs (of the heads, of the losses), until the device has finished. The whole step
/// is timed beside them. The multiply-adds of each part's matrix products are counted from the sizes, and their rate is
/// set against the fastest of a few products of typical shapes on the same device, measured first. Decoding and
/// transforming images is not in it: `bench data` measures that.
#[derive(Debug, clap::Args)]
pub struct ProfileArgs {
    #[command(flatten)]
    size: SizeArgs,
    /// Write what was measured here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Medians of one part, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Part {
    name: &'static str,
    forward: f64,
    /// Of parts that have one.
    backward: Option<f64>,
    /// Operations of the matrix products, 10⁹: two for each multiply-add.
    gflop: f64,
}

#[derive(Debug, Serialize)]
struct Measured {
    work: String,
    parts: Vec<Part>,
    /// Seconds of a whole step, without making the batch.
    step: f64,
    products: Vec<Product>,
    /// The fastest product's rate.
    peak_gflop_per_second: f64,
}

/// Measures and prints the table.
pub fn run(args: &ProfileArgs, backend: Backend) -> Result<ExitCode> {
    let (size, steps) = (args.size.size(Kind::Pretrain), args.size.steps);
    ensure!(steps > 0, "--steps is at least 1");
    let config = size.model(Kind::Pretrain)?;
    let device = backend.device()?;
    let products = products::measure(&config, size, &device)?;
    let peak = products.iter().fold(0.0_f64, |peak, product| peak.max(product.gflop_per_second));
    let (parts, step) = parts(&config, size, steps, &device.clone().autodiff())?;
    let work = format!("{}, {}", describe(Kind::Pretrain, size), backend.name());
    let measured = Measured { work, parts, step, products, peak_gflop_per_second: peak };
    say!("{}", table(&measured).trim_end());
    write_json(args.json.as_deref(), &device, &measured)?;
    Ok(ExitCode::SUCCESS)
}

/// Seconds of a part, step by step; the first step warms up and is left out.
#[derive(Debug, Default)]
struct Times {
    forward: Vec<f64>,
    backward: Vec<f64>,
}

impl Times {
    /// Runs and times both passes; the backward pass starts at the one value that `forward` gives.
    fn both<T>(&mut self, device: &Device, forward: impl FnOnce() -> Result<(T, Tensor<1>)>) -> Result<T> {
        let (output, value) = self.once(device, forward)?;
        let begun = Instant::now();
        let _gradients = value.backward();
        device.sync().context("the device")?;
        self.backward.push(begun.elapsed().as_secs_f64());
        Ok(output)
    }

    /// Runs and times what has no backward pass.
    fn once<T>(&mut self, device: &Device, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        let output = work()?;
        device.sync().context("the device")?;
        self.forward.push(begun.elapsed().as_secs_f64());
        Ok(output)
    }

    fn part(&self, name: &'static str, products: Products) -> Part {
        let later = |times: &[f64]| median(times.iter().skip(1).copied().collect());
        Part {
            name,
            forward: later(&self.forward),
            backward: (!self.backward.is_empty()).then(|| later(&self.backward)),
            gflop: 2.0 * (products.forward + products.backward) as f64 / 1e9,
        }
    }
}

/// Times every part and the whole step, `steps` times after one that warms up.
fn parts(config: &M3aeConfig, size: Size, steps: usize, device: &Device) -> Result<(Vec<Part>, f64)> {
    device.seed(0);
    let mut model = config.init(device)?.with_precision(size.precision());
    let mut optimizer = AdamW::new(AdamWConfig::published(1e-5));
    let batch = Inputs::new(size, device).pretraining(model.patch_size());
    let samples = Samples::new(config, size)?;
    let [mut text, mut vision, mut fusion, mut heads, mut norms, mut update, mut masks, mut whole] =
        std::array::from_fn(|_| Times::default());
    for step in 0..=steps {
        let texts = text.both(device, || {
            let texts = pretrain::encode_texts(&model, &batch);
            Ok((texts.clone(), texts.tokens.sum()))
        })?;
        let images = vision.both(device, || {
            let images = pretrain::encode_images(&model, &batch)?;
            Ok((images.clone(), sum([&images.whole, &images.visible])?))
        })?;
        let texts = FusionText { tokens: leaf(texts.tokens), bias: texts.bias };
        let images = Images { whole: images.whole.map(leaf), visible: images.visible.map(leaf) };
        let states = fusion.both(device, || {
            let states = pretrain::fuse(&model, &batch, texts, images);
            let pairs = states.pairs.clone().context("a step without image-text matching")?;
            let total = sum([&states.tokens, &states.patches])? + pairs.sum();
            Ok((states, total))
        })?;
        let States { tokens, patches, pairs } = states;
        let states = States { tokens: tokens.map(leaf), patches: patches.map(leaf), pairs: pairs.map(leaf) };
        heads
            .both(device, || Ok(((), pretrain::predict(&model, &batch, states)?.total(ObjectiveWeights::default()))))?;
        masks.once(device, || samples.batch(step as u64, device))?;
        model = whole.once(device, || {
            let total = pretrain_step(&model, &batch)?.total(ObjectiveWeights::default());
            let gradients = GradientsParams::from_grads(total.backward(), &model);
            device.sync().context("the device")?;
            let norm = norms.once(device, || Ok(gradient_norms(&model, &gradients).total))?;
            ensure!(norm.is_finite(), "a gradient that is not finite");
            update.once(device, || Ok(optimizer.step(model, gradients, 1.0)))
        })?;
        say_error!("step {step} of {steps}");
    }
    let [of_text, of_vision, of_fusion, of_heads] = counted(config, size, &batch, model.mim_layer())?;
    let none = Products::default();
    let parts = vec![
        text.part("text encoder", of_text),
        vision.part("vision encoder", of_vision),
        fusion.part("fusion", of_fusion),
        heads.part("heads and losses", of_heads),
        norms.part("gradient norms", none),
        update.part("AdamW", none),
        masks.part("masks and batch", none),
    ];
    Ok((parts, whole.part("whole", none).forward))
}

/// The sum of all values.
fn sum<const N: usize>(states: [&Option<Tensor<3>>; N]) -> Result<Tensor<1>> {
    let sums = states.into_iter().flatten().map(|state| state.clone().sum());
    sums.reduce(|a, b| a + b).context("a step without objectives")
}

/// The same values, cut off from the graph that made them.
fn leaf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.detach().require_grad()
}

/// Multiply-adds of text encoder, vision encoder, fusion and heads, as [`pretrain_step`] runs them.
fn counted(config: &M3aeConfig, size: Size, batch: &PretrainBatch, mim_layer: usize) -> Result<[Products; 4]> {
    let clip = config.vision.clip().context("only models with CLIP's vision encoder are counted")?;
    let torn = batch.itm.as_ref().map_or(0, |itm| itm.false_image.dims()[0]);
    let masked = batch.mlm.as_ref().map_or(0, |mlm| mlm.positions.dims()[0]);
    let visible = batch.mim.as_ref().map_or(0, |mim| mim.ids_keep.dims()[1]);
    let patches = config.vision.patches();
    let (count, length) = (size.batch, size.text);
    let pairs = |count, image| Pairs { count, text: length, image: 1 + image };
    let image_tokens = (count + torn) * (1 + patches) + count * (1 + visible);
    // The losses do not depend on what the text stack makes of its last layer before masked image modelling leaves.
    let unread = operations::text_layer_of_fusion(&config.fusion, pairs(count, visible)) * mim_layer.min(1);
    let mut early = operations::fusion(&config.fusion, pairs(count, visible), mim_layer);
    early.backward -= unread.backward;
    let fusion = [
        operations::projections(config, 2 * count * length, image_tokens),
        operations::fusion(&config.fusion, pairs(2 * count, patches), config.fusion.layers - 1),
        operations::text_layer_of_fusion(&config.fusion, pairs(count, patches)),
        operations::pooled(&config.fusion, pairs(count, patches)),
        early,
    ];
    Ok([
        operations::text(&config.text, 2 * count, length),
        operations::vision(clip, count + torn, patches) + operations::vision(clip, count, visible),
        fusion.into_iter().sum(),
        operations::mlm_head(config, masked)
            + operations::mim_head(config, count, visible)
            + operations::itm_head(config, count),
    ])
}

fn table(measured: &Measured) -> String {
    let Measured { work, parts, step, products, peak_gflop_per_second: peak } = measured;
    let mut text = format!("{work}\n\n| part | forward s | backward s | share | GFLOP | GFLOP/s | of the peak |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    let seconds = |part: &Part| part.forward + part.backward.unwrap_or(0.0);
    let total: f64 = parts.iter().map(seconds).sum();
    for part in parts {
        let backward = part.backward.map_or_else(String::new, |backward| format!("{backward:.4}"));
        let share = 100.0 * seconds(part) / total;
        let rate = match part.gflop > 0.0 {
            true => {
                let rate = part.gflop / seconds(part);
                format!("{:.1} | {rate:.1} | {:.0} %", part.gflop, 100.0 * rate / peak)
            }
            false => " | |".to_owned(),
        };
        let _ = writeln!(text, "| {} | {:.4} | {backward} | {share:.1} % | {rate} |", part.name, part.forward);
    }
    let gflop: f64 = parts.iter().map(|part| part.gflop).sum();
    let floor = gflop / peak;
    let _ = writeln!(text, "| parts together | {total:.4} | | | {gflop:.1} | {:.1} | |", gflop / total);
    let _ = writeln!(text, "| the whole step in one, its batch made before | {step:.4} | | | | | |");
    let _ = writeln!(
        text,
        "\nMatrix products alone, at the peak, would take {floor:.4} s: {:.0} % of the parts' time.\nThe peak, {peak:.1} GFLOP/s, is \
         the fastest of:",
        100.0 * floor / total
    );
    for Product { m, k, n, gflop_per_second } in products {
        let _ = writeln!(text, "- [{m}, {k}] · [{k}, {n}]: {gflop_per_second:.1} GFLOP/s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_gives_rates_against_the_peak_and_the_floor_of_all_parts() {
        let part = |name, forward, backward, gflop| Part { name, forward, backward, gflop };
        let measured = Measured {
            work: "work".into(),
            parts: vec![part("a", 1.0, Some(2.0), 60.0), part("b", 1.0, None, 0.0)],
            step: 3.5,
            products: vec![Product { m: 2, k: 3, n: 4, gflop_per_second: 40.0 }],
            peak_gflop_per_second: 40.0,
        };
        let table = table(&measured);
        assert!(table.contains("| a | 1.0000 | 2.0000 | 75.0 % | 60.0 | 20.0 | 50 % |"), "{table}");
        assert!(table.contains("| b | 1.0000 |  | 25.0 % |  | | |"), "{table}");
        assert!(table.contains("would take 1.5000 s: 38 % of the parts' time"), "{table}");
        assert!(table.contains("[2, 3] · [3, 4]: 40.0 GFLOP/s"), "{table}");
    }
}
