//! The kernels against the same layers composed of Burn's operations: values and gradients, over random shapes.

// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used)]

mod plain;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::prelude::*;
use burn::tensor::{Distribution, Gradients};
use m3ae_nn::{Activation, AdamWStep, Attention, Linear, Moving, Norm, Projections};
use plain::{device, random, random_linear};
use proptest::prelude::*;

/// Flex has one generator for all threads: tests that seed it, and those that draw, take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
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
fn compare(ours: Tensor<3>, plain: Tensor<3>, tensors: &[&Tensor<3>], layers: &[&Linear], norms: &[&Norm]) {
    let difference = largest_difference(ours.clone().inner(), plain.clone().inner());
    assert!(difference < TOLERANCE, "values are off by {difference}");
    let (a, b) = (differentiate(&ours), differentiate(&plain));
    tensors.iter().for_each(|tensor| same_gradient(tensor, &a, &b));
    for layer in layers {
        same_gradient(&layer.weight, &a, &b);
        same_gradient(&layer.bias, &a, &b);
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
        batch in 1_usize..4, count in 1_usize..4, half in 1_usize..9, queries in 1_usize..40, keys in 1_usize..40,
        kind in 0..3, masked: bool,
    ) {
        let _turn = turn();
        let width = 2 * half * count;
        let x = random([batch, queries, width]);
        let (context, keys) = match kind {
            2 => (Some(random([batch, keys, width])), keys),
            _ => (None, queries),
        };
        let residual = (kind == 0).then(|| random([batch, queries, width]));
        let projections = match kind {
            0 => Projections::Packed(random_linear(width, 3 * width)),
            _ => Projections::Separate {
                query: random_linear(width, width),
                key: random_linear(width, width),
                value: random_linear(width, width),
            },
        };
        let attention = Attention {
            projections,
            output: random_linear(width, width),
            heads: count,
            context,
            bias: masked.then(|| padding(batch, keys)),
            dropout: 0.0,
            residual,
        };
        let ours = m3ae_nn::attention(&x, attention.clone()).unwrap();
        let mut tensors = vec![&x];
        tensors.extend(&attention.context);
        tensors.extend(&attention.residual);
        let mut layers = vec![&attention.output];
        match &attention.projections {
            Projections::Packed(layer) => layers.push(layer),
            // A key's bias moves all scores of a query alike: its gradient is zero, and rounding.
            Projections::Separate { query, value, .. } => layers.extend([query, value]),
        }
        compare(ours, plain::attention(x.clone(), &attention), &tensors, &layers, &[]);
    }

    #[test]
    fn feed_forward_is_its_formula(
        batch in 1_usize..4, length in 1_usize..50, width in 1_usize..40, inner in 1_usize..90, quick: bool, added: bool,
    ) {
        let _turn = turn();
        let x = random([batch, length, width]);
        let residual = added.then(|| random([batch, length, width]));
        let (first, second) = (random_linear(width, inner), random_linear(inner, width));
        let activation = if quick { Activation::QuickGelu } else { Activation::Gelu };
        let ours = m3ae_nn::mlp(&x, (first.clone(), second.clone()), activation, residual.clone()).unwrap();
        let plain = plain::feed_forward(x.clone(), (&first, &second), activation, residual.as_ref());
        let mut tensors = vec![&x];
        tensors.extend(&residual);
        compare(ours, plain, &tensors, &[&first, &second], &[]);
    }

    #[test]
    fn layer_norms_are_their_formula(batch in 1_usize..4, length in 1_usize..90, width in 2_usize..90) {
        let _turn = turn();
        let (x, residual) = (random([batch, length, width]), random([batch, length, width]));
        let norm = Norm { gamma: random([width]), beta: random([width]), epsilon: 1e-5 };
        let plain = |x: Tensor<3>| {
            let mean = x.clone().mean_dim(2);
            let variance = (x.clone() - mean.clone()).square().mean_dim(2);
            (x - mean) / (variance + norm.epsilon).sqrt() * norm.gamma.clone().unsqueeze()
                + norm.beta.clone().unsqueeze()
        };
        let alone = m3ae_nn::layer_norm(&x, norm.clone()).unwrap();
        // Rows of two values have gradients near zero, divided by a small deviation.
        if width > 4 {
            compare(alone, plain(x.clone()), &[&x], &[], &[&norm]);
            let sum = m3ae_nn::dropout_add_norm(&x, &residual, norm.clone(), 0.0).unwrap();
            compare(sum, plain(x.clone() + residual.clone()), &[&x, &residual], &[], &[&norm]);
        }
    }
}

#[test]
fn dropout_drops_its_share_and_its_gradient_passes_the_same_mask() {
    let _turn = turn();
    let device = device();
    let ones = Tensor::<3>::ones([4, 100, 64], &device).require_grad();
    let zeros = Tensor::<3>::zeros([4, 100, 64], &device);
    // Without a scale, the norm of what is dropped would hide it: alternate signs keep the mean at zero.
    let norm = Norm { gamma: Tensor::ones([64], &device), beta: Tensor::zeros([64], &device), epsilon: 1e-5 };
    let run = || {
        device.seed(11);
        m3ae_nn::dropout_add_norm(&ones, &zeros, norm.clone(), 0.25).unwrap()
    };
    let out = run();
    let dropped = out.clone().inner().lower_elem(0.0).int().sum().into_scalar::<i64>();
    let share = dropped as f64 / 25_600.0;
    assert!((0.24..0.26).contains(&share), "{share}");
    assert_eq!(run().into_data(), out.clone().into_data());
    let gradients = differentiate(&out);
    let gradient = ones.grad(&gradients).unwrap();
    let without = gradient.equal_elem(0.0).int() * out.inner().greater_elem(0.0).int();
    assert_eq!(without.sum().into_scalar::<i64>(), 0);
    assert_eq!(gradient_zeros(&ones, &gradients), dropped);
}

fn gradient_zeros(x: &Tensor<3>, gradients: &Gradients) -> i64 {
    x.grad(gradients).unwrap().equal_elem(0.0).int().sum().into_scalar::<i64>()
}

/// With a fixed mask attention is linear in its values: the gradient has to predict a step along it.
#[test]
fn attention_under_dropout_has_the_gradient_of_its_own_mask() {
    let _turn = turn();
    let device = device();
    device.seed(3);
    let width = 16;
    let x = random([2, 9, width]);
    let attention = Attention {
        projections: Projections::Separate {
            query: random_linear(width, width),
            key: random_linear(width, width),
            value: random_linear(width, width),
        },
        output: random_linear(width, width),
        heads: 2,
        context: Some(random([2, 7, width])),
        bias: None,
        dropout: 0.3,
        residual: None,
    };
    let loss = |x: &Tensor<3>| {
        device.seed(5);
        m3ae_nn::attention(x, attention.clone()).unwrap()
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
fn without_gradients_and_in_other_precisions_callers_know() {
    let _turn = turn();
    let plain = Device::flex();
    let x = Tensor::<3>::random([1, 3, 8], Distribution::Default, &plain);
    let norm = Norm { gamma: Tensor::ones([8], &plain), beta: Tensor::zeros([8], &plain), epsilon: 1e-5 };
    let ours = m3ae_nn::layer_norm(&x, norm.clone()).unwrap();
    let burns = burn::tensor::module::layer_norm(x.clone(), norm.gamma.clone(), Some(norm.beta.clone()), 1e-5);
    assert!(largest_difference(ours, burns) < TOLERANCE);
    assert!(m3ae_nn::layer_norm(&x.cast(burn::tensor::DType::F64), norm).is_none());
}

#[test]
fn adamw_is_its_formula_and_works_in_place() {
    let plain = Device::flex();
    let _turn = turn();
    let draw = || Tensor::<1>::random([100_000], Distribution::Normal(0.0, 1.0), &plain);
    let (parameter, first, second, gradient) = (draw(), draw(), draw().square(), draw());
    let moving = Moving { parameter: parameter.clone(), first: first.clone(), second: second.clone() };
    let step =
        AdamWStep { beta_1: 0.9, beta_2: 0.98, epsilon: 1e-8, rate: 0.01, correction: 0.5, kept: 0.99, scale: 0.25 };
    let ours = m3ae_nn::adamw(moving, gradient.clone(), &step);
    let g = gradient * 0.25;
    let m = first * 0.9 + g.clone() * 0.1;
    let v = second * 0.98 + g.square() * 0.02;
    let p = parameter.clone() * 0.99 - m.clone() / ((v.clone() / 0.5).sqrt() + 1e-8) * 0.01;
    for (ours, plain) in [(ours.parameter, p), (ours.first, m), (ours.second, v)] {
        assert!(largest_difference(ours, plain) < 1e-6);
    }
    // What others hold is copied first.
    assert!(parameter.into_data().iter::<f32>().all(f32::is_finite));
    let x = Tensor::<1>::ones([70_000], &plain) * 3.0;
    assert_eq!(m3ae_nn::square_sum(&x), Some(630_000.0));
}
