//! Shapes that do not fit each other are refused before anything is computed, with both shapes in the message.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::prelude::*;

use crate::*;

/// The message with which `f` panics.
fn refusal<T>(f: impl FnOnce() -> T) -> String {
    let problem = catch_unwind(AssertUnwindSafe(f)).err().expect("this was computed");
    match problem.downcast_ref::<String>() {
        Some(message) => message.clone(),
        None => (*problem.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::zeros(shape, &Device::flex())
}

fn layer(input: usize, output: usize) -> LinearWeights {
    LinearWeights { weight: zeros([input, output]), bias: Some(zeros([output])) }
}

fn norm(width: usize) -> NormWeights {
    NormWeights { gamma: zeros([width]), beta: zeros([width]), epsilon: 1e-5 }
}

#[test]
fn feed_forward_refuses_layers_that_do_not_fit() {
    let run = |first, second, residual: Option<[usize; 3]>| {
        let weights = FeedForwardWeights { first, second };
        feed_forward(zeros([1, 3, 4]), weights, Activation::Gelu, residual.map(zeros), Precision::F32)
    };
    // Used to give a tensor of the shape [1, 3, 5] over a buffer of 5 values.
    let message = refusal(|| run(layer(8, 6), layer(6, 5), None));
    assert_eq!(message, "feed_forward: the first layer has the weight [8, 6] and cannot read rows of 4 values");
    let message = refusal(|| run(layer(4, 6), layer(7, 4), None));
    assert_eq!(message, "feed_forward: the second layer has the weight [7, 4] and cannot read rows of 6 values");
    let short = LinearWeights { bias: Some(zeros([5])), ..layer(4, 6) };
    let message = refusal(|| run(short, layer(6, 4), None));
    assert!(message.contains("the weight [4, 6] has the shape [5], expected [6]"), "{message}");
    let message = refusal(|| run(layer(4, 6), layer(6, 4), Some([1, 2, 4])));
    assert_eq!(message, "feed_forward: the residual has the shape [1, 2, 4], expected [1, 3, 4]");
    assert_eq!(run(layer(4, 6), layer(6, 5), None).dims(), [1, 3, 5]);
}

#[test]
fn attention_refuses_what_does_not_fit() {
    let run = |heads, width, packed: bool, options| {
        let projections = match packed {
            true => Projections::Packed(layer(width, 3 * width)),
            false => Projections::Separate {
                query: layer(width, width),
                key: layer(width, width),
                value: layer(width, width),
            },
        };
        attention(zeros([2, 3, 8]), AttentionWeights { heads, projections, output: layer(width, width) }, options)
    };
    let options = AttentionOptions::default;
    for packed in [true, false] {
        assert!(refusal(|| run(3, 8, packed, options())).contains("3 heads cannot share the width of x, [2, 3, 8]"));
        assert!(refusal(|| run(0, 8, packed, options())).contains("0 heads"));
        let message = refusal(|| run(2, 6, packed, options()));
        assert!(
            message.contains("projection has the weight [6, ") && message.contains("rows of 8 values"),
            "{message}"
        );
    }
    let context = |shape| AttentionOptions { context: Some(zeros(shape)), ..options() };
    let message = refusal(|| run(2, 8, false, context([1, 5, 8])));
    assert_eq!(message, "attention: the context has the shape [1, 5, 8], expected [2, 5, 8]");
    assert!(refusal(|| run(2, 8, false, context([2, 5, 4]))).contains("[2, 5, 4], expected [2, 5, 8]"));
    assert!(refusal(|| run(2, 8, false, context([2, 0, 8]))).contains("no keys"));
    let bias = AttentionOptions { bias: Some(zeros([2, 1, 1, 4])), ..options() };
    let message = refusal(|| run(2, 8, true, bias));
    assert!(message.contains("[2, 1, 1, 4]") && message.contains("[2, 2, 3, 3]"), "{message}");
    let residual = AttentionOptions { residual: Some(zeros([2, 3, 9])), ..options() };
    assert!(refusal(|| run(2, 8, true, residual)).contains("[2, 3, 9], expected [2, 3, 8]"));
    let dropout = AttentionOptions { dropout: 1.0, ..options() };
    assert_eq!(refusal(|| run(2, 8, true, dropout)), "attention: dropout 1 is not from 0 to below 1");
    let nan = AttentionOptions { dropout: f64::NAN, ..options() };
    assert!(refusal(|| run(2, 8, true, nan)).contains("NaN"));
    // A bias that only broadcasts is an answer too, by way of the composed operations.
    let shared = AttentionOptions { bias: Some(zeros([1, 1, 3, 3])), ..options() };
    assert_eq!(run(2, 8, true, shared).hidden.dims(), [2, 3, 8]);
    let wide = LinearWeights { weight: zeros([8, 25]), bias: None };
    let weights = AttentionWeights { heads: 2, projections: Projections::Packed(wide), output: layer(8, 8) };
    assert!(refusal(|| attention(zeros([2, 3, 8]), weights, options())).contains("[8, 25], expected [8, 24]"));
    let (query, key) = (zeros([1, 2, 3, 4]), zeros([1, 2, 5, 4]));
    let run = |value| scaled_dot_product_attention(query, key, value, None, 0.0, Precision::F32);
    assert!(refusal(|| run(zeros([1, 2, 6, 4]))).contains("the values"));
}

#[test]
fn norms_refuse_parameters_of_another_width() {
    let message = refusal(|| layer_norm(zeros([2, 3, 8]), norm(9)));
    assert_eq!(message, "layer_norm: gamma has the shape [9], which does not fit x, [2, 3, 8]");
    let uneven = NormWeights { beta: zeros([4]), ..norm(8) };
    assert!(refusal(|| layer_norm(zeros([2, 3, 8]), uneven)).contains("beta has the shape [4]"));
    assert!(refusal(|| layer_norm(zeros([2, 3, 0]), norm(0))).contains("[2, 3, 0]"));
    let message = refusal(|| dropout_add_norm(zeros([2, 3, 8]), zeros([2, 4, 8]), norm(8), 0.0));
    assert_eq!(message, "dropout_add_norm: the residual has the shape [2, 4, 8], expected [2, 3, 8]");
    assert!(refusal(|| dropout_add_norm(zeros([2, 3, 8]), zeros([2, 3, 8]), norm(8), -0.1)).contains("dropout -0.1"));
}

#[test]
fn linear_and_adamw_refuse_other_lengths() {
    let message = refusal(|| linear(zeros([2, 3]), layer(4, 5), Precision::Bf16));
    assert_eq!(message, "linear: the layer has the weight [4, 5] and cannot read rows of 3 values");
    let step = AdamWStep {
        beta_1: 0.9,
        beta_2: 0.98,
        epsilon: 1e-8,
        step_size: 0.1,
        bias_correction_2: 1.0,
        decay_factor: 1.0,
        gradient_scale: 1.0,
    };
    let state = |moment| AdamState { parameter: zeros([4]), first_moment: zeros([4]), second_moment: zeros([moment]) };
    let message = refusal(|| adamw(state(3), zeros([4]), &step));
    assert_eq!(message, "adamw: the second moment has the shape [3], the parameter [4]");
    assert!(refusal(|| adamw(state(4), zeros([5]), &step)).contains("the gradient has the shape [5]"));
}

/// Burn 0.22.1's own products of an empty batch end the process on Flex.
#[test]
fn operators_answer_for_empty_batches() {
    for precision in [Precision::F32, Precision::Bf16] {
        let weights =
            AttentionWeights { heads: 2, projections: Projections::Packed(layer(8, 24)), output: layer(8, 8) };
        let options = AttentionOptions { need_weights: true, precision, ..AttentionOptions::default() };
        let empty = attention(zeros([0, 3, 8]), weights, options);
        assert_eq!((empty.hidden.dims(), empty.weights.unwrap().dims()), ([0, 3, 8], [0, 2, 3, 3]));
        let weights = FeedForwardWeights { first: layer(8, 4), second: layer(4, 6) };
        let out = feed_forward(zeros([0, 3, 8]), weights, Activation::QuickGelu, None, precision);
        assert_eq!(out.dims(), [0, 3, 6]);
        assert_eq!(linear(zeros([0, 8]), layer(8, 2), precision).dims(), [0, 2]);
        let product = matmul(zeros([2, 1, 3, 0]), zeros([1, 5, 0, 4]), precision);
        assert_eq!((product.dims(), product.sum().into_scalar::<f32>()), ([2, 5, 3, 4], 0.0));
    }
    assert_eq!(layer_norm(zeros([0, 3, 8]), norm(8)).dims(), [0, 3, 8]);
    assert!(refusal(|| matmul(zeros([2, 3, 0]), zeros([2, 1, 4]), Precision::F32)).contains("[2, 3, 0]"));
}

#[test]
#[should_panic(expected = "5 values cannot fill the shape")]
fn a_buffer_that_does_not_fill_its_shape_is_refused() {
    let _ = crate::flex::tensor(vec![0.0; 5], [1, 3, 5].into());
}
