//! Kernels against the composed operations, on the same tensors: values and gradients, over random shapes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail as tests do")]

mod refusals;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::prelude::*;
use burn::tensor::{DType, Distribution, Gradients};
use proptest::prelude::*;

use crate::*;

/// Flex has one generator for all threads: tests that seed it, and those that draw, take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 0.7), &device()).require_grad()
}

fn random_linear(input: usize, output: usize) -> LinearWeights {
    LinearWeights { weight: random([input, output]), bias: Some(random([output])) }
}

fn separate(width: usize) -> Projections {
    Projections::Separate {
        query: random_linear(width, width),
        key: random_linear(width, width),
        value: random_linear(width, width),
    }
}

/// float32 sums of a few hundred products in another order.
const TOLERANCE: f32 = 2e-5;

fn largest_difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let scale = b.clone().abs().max().into_scalar::<f32>().max(1.0);
    (a - b).abs().max().into_scalar::<f32>() / scale
}

/// Gradients of a sum in which every output counts differently.
fn differentiate(output: &Tensor<3>) -> Gradients {
    let count = output.shape().num_elements() as i64;
    let weights = Tensor::<1, Int>::arange(0..count, &device()).float().mul_scalar(0.37).sin();
    (output.clone() * weights.reshape(output.dims())).sum().backward()
}

fn same_gradient<const D: usize>(input: &Tensor<D>, a: &Gradients, b: &Gradients) {
    let difference = largest_difference(input.grad(a).unwrap(), input.grad(b).unwrap());
    assert!(difference < TOLERANCE, "a gradient of {:?} is off by {difference}", input.dims());
}

/// Compares two outputs and the gradients of tensors and layers.
fn compare(
    kernels: Tensor<3>,
    composed: Tensor<3>,
    tensors: &[&Tensor<3>],
    layers: &[&LinearWeights],
    norms: &[&NormWeights],
) {
    let difference = largest_difference(kernels.clone().inner(), composed.clone().inner());
    assert!(difference < TOLERANCE, "values are off by {difference}");
    let (a, b) = (differentiate(&kernels), differentiate(&composed));
    tensors.iter().for_each(|tensor| same_gradient(tensor, &a, &b));
    for layer in layers {
        same_gradient(&layer.weight, &a, &b);
        layer.bias.iter().for_each(|bias| same_gradient(bias, &a, &b));
    }
    for norm in norms {
        same_gradient(&norm.gamma, &a, &b);
        same_gradient(&norm.beta, &a, &b);
    }
}

fn padding(batch: usize, keys: usize) -> Tensor<4> {
    let hidden = (0..batch * keys).map(|i| if i % keys > 0 && (i * 7) % 5 == 0 { -1e4_f32 } else { 0.0 });
    Tensor::<1>::from_data(hidden.collect::<Vec<f32>>().as_slice(), &device()).reshape([batch, 1, 1, keys])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn attention_is_its_formula(
        batch in 1_usize..4, heads in 1_usize..4, half in 1_usize..9, queries in 1_usize..40, keys in 1_usize..40,
        kind in 0..3, masked: bool,
    ) {
        let _turn = turn();
        let width = 2 * half * heads;
        let x = random([batch, queries, width]);
        let (context, keys) = match kind {
            2 => (Some(random([batch, keys, width])), keys),
            _ => (None, queries),
        };
        let projections = match kind {
            0 => Projections::Packed(random_linear(width, 3 * width)),
            _ => separate(width),
        };
        let weights = AttentionWeights { heads, projections, output: random_linear(width, width) };
        let options = AttentionOptions {
            context,
            bias: masked.then(|| padding(batch, keys)),
            residual: (kind != 1).then(|| random([batch, queries, width])),
            ..AttentionOptions::default()
        };
        let kernels = crate::flex::attention(&x, &weights, &options).unwrap();
        let mut tensors = vec![&x];
        tensors.extend(&options.context);
        tensors.extend(&options.residual);
        let mut layers = vec![&weights.output];
        match &weights.projections {
            Projections::Packed(layer) => layers.push(layer),
            // A key's bias moves all scores of a query alike: its gradient is zero, and rounding.
            Projections::Separate { query, value, .. } => layers.extend([query, value]),
        }
        let composed = crate::attention::composed(x.clone(), &weights, &options);
        compare(kernels, composed.hidden, &tensors, &layers, &[]);
    }

    #[test]
    fn feed_forward_is_its_formula(
        batch in 1_usize..4, length in 1_usize..50, width in 1_usize..40, inner in 1_usize..90, quick: bool, added: bool,
    ) {
        let _turn = turn();
        let x = random([batch, length, width]);
        let residual = added.then(|| random([batch, length, width]));
        let weights = FeedForwardWeights { first: random_linear(width, inner), second: random_linear(inner, width) };
        let activation = if quick { Activation::QuickGelu } else { Activation::Gelu };
        let kernels = crate::flex::feed_forward(&x, &weights, activation, residual.as_ref()).unwrap();
        let composed =
            crate::feed_forward::composed(x.clone(), &weights, activation, residual.clone(), Precision::F32);
        let mut tensors = vec![&x];
        tensors.extend(&residual);
        compare(kernels, composed, &tensors, &[&weights.first, &weights.second], &[]);
    }

    #[test]
    fn layer_norms_are_their_formula(batch in 1_usize..4, length in 1_usize..90, width in 5_usize..90) {
        // Shorter rows have gradients near zero, divided by a small deviation.
        let _turn = turn();
        let (x, residual) = (random([batch, length, width]), random([batch, length, width]));
        let norm = NormWeights { gamma: random([width]), beta: random([width]), epsilon: 1e-5 };
        let formula = |x: Tensor<3>| {
            let mean = x.clone().mean_dim(2);
            let variance = (x.clone() - mean.clone()).square().mean_dim(2);
            (x - mean) / (variance + norm.epsilon).sqrt() * norm.gamma.clone().unsqueeze()
                + norm.beta.clone().unsqueeze()
        };
        let kernel = crate::flex::layer_norm(&x, &norm).unwrap();
        compare(kernel, formula(x.clone()), &[&x], &[], &[&norm]);
        let kernel = crate::flex::dropout_add_norm(&x, &residual, &norm, 0.0).unwrap();
        compare(kernel, formula(x.clone() + residual.clone()), &[&x, &residual], &[], &[&norm]);
        let composed = crate::norm::composed(x.clone(), norm.clone());
        compare(composed, formula(x.clone()), &[&x], &[], &[&norm]);
    }
}

/// What no kernel computes is composed, and means the same.
#[test]
fn attention_without_biases_or_packed_with_a_context_is_composed_and_is_the_same_formula() {
    let _turn = turn();
    let width = 12;
    let (x, context) = (random([2, 5, width]), random([2, 7, width]));
    let without_bias = |layer: LinearWeights| LinearWeights { bias: None, ..layer };
    let zero_bias = |layer: LinearWeights| LinearWeights {
        bias: Some(layer.weight.clone().sum_dim(0).reshape([-1]) * 0.0),
        ..layer
    };
    let packed = without_bias(random_linear(width, 3 * width));
    let part = |i: usize| {
        without_bias(LinearWeights { weight: packed.weight.clone().narrow(1, i * width, width), bias: None })
    };
    let output = random_linear(width, width);
    let options = AttentionOptions { context: Some(context.clone()), ..AttentionOptions::default() };
    let by_packed = attention(
        x.clone(),
        AttentionWeights { heads: 3, projections: Projections::Packed(packed.clone()), output: output.clone() },
        options.clone(),
    );
    let projections =
        Projections::Separate { query: zero_bias(part(0)), key: zero_bias(part(1)), value: zero_bias(part(2)) };
    let by_kernels = attention(x.clone(), AttentionWeights { heads: 3, projections, output: output.clone() }, options);
    compare(by_kernels.hidden, by_packed.hidden, &[&x, &context], &[&packed, &output], &[]);
}

#[test]
fn attention_weights_are_shares_and_do_not_change_the_output() {
    let _turn = turn();
    let (x, width) = (random([2, 6, 8]), 8);
    let weights = AttentionWeights { heads: 2, projections: separate(width), output: random_linear(width, width) };
    let options = AttentionOptions { bias: Some(padding(2, 6)), ..AttentionOptions::default() };
    let without = attention(x.clone(), weights.clone(), options.clone());
    assert!(without.weights.is_none());
    let with = attention(x, weights, AttentionOptions { need_weights: true, ..options });
    assert!(largest_difference(with.hidden, without.hidden) < TOLERANCE);
    let shares = with.weights.unwrap();
    assert_eq!(shares.dims(), [2, 2, 6, 6]);
    let sums = shares.clone().sum_dim(3);
    assert!(largest_difference(sums.clone(), sums.ones_like()) < 1e-6);
    // The padding bias hides the sixth token of the first sample, and nothing is left of it.
    let hidden = shares.narrow(0, 0, 1).narrow(3, 5, 1);
    assert_eq!(hidden.max().into_scalar::<f32>(), 0.0);
}

#[test]
fn dropout_drops_its_share_and_its_gradient_passes_the_same_mask() {
    let _turn = turn();
    let device = device();
    let ones = Tensor::<3>::ones([4, 100, 64], &device).require_grad();
    let zeros = Tensor::<3>::zeros([4, 100, 64], &device);
    let norm = NormWeights { gamma: Tensor::ones([64], &device), beta: Tensor::zeros([64], &device), epsilon: 1e-5 };
    let run = || {
        device.seed(11);
        dropout_add_norm(ones.clone(), zeros.clone(), norm.clone(), 0.25)
    };
    let out = run();
    // Rows of 0 and 4/3: what was dropped is below the mean.
    let dropped = out.clone().inner().lower_elem(0.0).int().sum().into_scalar::<i64>();
    let share = dropped as f64 / 25_600.0;
    assert!((0.24..0.26).contains(&share), "{share}");
    assert_eq!(run().into_data(), out.clone().into_data());
    let gradients = differentiate(&out);
    let gradient = ones.grad(&gradients).unwrap();
    let without = gradient.clone().equal_elem(0.0).int() * out.inner().greater_elem(0.0).int();
    assert_eq!(without.sum().into_scalar::<i64>(), 0);
    assert_eq!(gradient.equal_elem(0.0).int().sum().into_scalar::<i64>(), dropped);
}

/// With a fixed mask attention is linear in its values: the gradient has to predict a step along it.
#[test]
fn attention_under_dropout_has_the_gradient_of_its_own_mask() {
    let _turn = turn();
    let device = device();
    device.seed(3);
    let width = 16;
    let x = random([2, 9, width]);
    let weights = AttentionWeights { heads: 2, projections: separate(width), output: random_linear(width, width) };
    let options =
        AttentionOptions { context: Some(random([2, 7, width])), dropout: 0.3, ..AttentionOptions::default() };
    let loss = |x: &Tensor<3>| {
        device.seed(5);
        attention(x.clone(), weights.clone(), options.clone()).hidden
    };
    let gradient = x.grad(&differentiate(&loss(&x))).unwrap();
    let step = 1e-2;
    let length = f64::from(gradient.clone().square().sum().into_scalar::<f32>()).sqrt();
    let along = gradient / length;
    let weigh = |out: Tensor<3>| {
        let count = out.shape().num_elements() as i64;
        let weights = Tensor::<1, Int>::arange(0..count, &out.device()).float().mul_scalar(0.37).sin();
        f64::from((out.clone() * weights.reshape(out.dims())).sum().into_scalar::<f32>())
    };
    let at = |shift: f64| weigh(loss(&(x.clone() + Tensor::from_inner(along.clone() * shift))));
    let slope = (at(step) - at(-step)) / (2.0 * step);
    assert!((slope - length).abs() < 2e-3 * length, "{slope} {length}");
}

#[test]
fn operators_answer_without_autodiff_and_in_other_dtypes() {
    let _turn = turn();
    let device = Device::flex();
    let x = Tensor::<3>::random([1, 3, 8], Distribution::Default, &device);
    let norm = NormWeights { gamma: Tensor::ones([8], &device), beta: Tensor::zeros([8], &device), epsilon: 1e-5 };
    let ours = layer_norm(x.clone(), norm.clone());
    assert!(largest_difference(ours.clone(), crate::norm::composed(x.clone(), norm.clone())) < TOLERANCE);
    let wide = |x: Tensor<1>| x.cast(DType::F64);
    let norm = NormWeights { gamma: wide(norm.gamma), beta: wide(norm.beta), epsilon: 1e-5 };
    let exact = layer_norm(x.cast(DType::F64), norm);
    assert_eq!(exact.dtype(), DType::F64);
    assert!(largest_difference(ours, exact.cast(DType::F32)) < TOLERANCE);
}

#[test]
fn bfloat16_products_are_rounded_and_everything_comes_back_in_float32() {
    let _turn = turn();
    let layer = random_linear(64, 32);
    let x = random([2, 3, 64]);
    let run = |precision| {
        let y = linear(x.clone(), layer.clone(), precision);
        assert_eq!(y.dtype(), DType::F32);
        let gradient = x.grad(&y.clone().sum().backward()).unwrap();
        assert_eq!(gradient.dtype(), DType::F32);
        (y.inner(), gradient)
    };
    let ((exact, exact_gradient), (rounded, rounded_gradient)) = (run(Precision::F32), run(Precision::Bf16));
    for (a, b) in [(exact, rounded), (exact_gradient, rounded_gradient)] {
        // bfloat16 has 8 bits: each factor and the result are off by at most 2^-9, relatively.
        let difference = largest_difference(b, a);
        assert!(difference > 0.0 && difference < 0.01, "{difference}");
    }
}

#[test]
fn adamw_is_its_formula_and_works_in_place() {
    let device = Device::flex();
    let _turn = turn();
    let draw = || Tensor::<1>::random([100_000], Distribution::Normal(0.0, 1.0), &device);
    let state = AdamState { parameter: draw(), first_moment: draw(), second_moment: draw().square() };
    let (gradient, before) = (draw(), state.parameter.clone().into_data());
    let step = AdamWStep {
        beta_1: 0.9,
        beta_2: 0.98,
        epsilon: 1e-8,
        step_size: 0.01,
        bias_correction_2: 0.5,
        decay_factor: 0.99,
        gradient_scale: 0.25,
    };
    // The states are shared with this test: the kernel copies them first.
    let kernel = adamw(state.clone(), gradient.clone(), &step);
    state.parameter.clone().into_data().assert_eq(&before, true);
    let composed = crate::adamw::composed(state, gradient, &step);
    for (kernel, composed) in [
        (kernel.parameter, composed.parameter),
        (kernel.first_moment, composed.first_moment),
        (kernel.second_moment, composed.second_moment),
    ] {
        assert!(largest_difference(kernel, composed) < 1e-6);
    }
}

#[test]
fn square_sums_are_exact_where_float32_is_and_the_same_composed() {
    let device = Device::flex();
    let tensors = [Tensor::<1>::ones([70_000], &device) * 3.0, Tensor::from_data([1.0, -2.0], &device)];
    assert_eq!(square_sums(&tensors), [630_000.0, 5.0]);
    assert_eq!(crate::adamw::composed_square_sums(&tensors), [630_000.0, 5.0]);
    assert!(square_sums(&[]).is_empty() && crate::adamw::composed_square_sums(&[]).is_empty());
}
