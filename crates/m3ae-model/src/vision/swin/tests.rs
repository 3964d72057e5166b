//! Swin against a second implementation: plain loops over numbers, written from the paper's definitions.

mod loops;
mod whole;

use burn::module::Param;
use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::{Distribution, TensorData};
use m3ae_nn::Precision;

use super::block::SwinBlock;
use super::merge::PatchMerging;
use super::window::{WindowAttention, Windows, relative_position_index};
use loops::{Attention, Dense, Grid, Norm};

fn random<const D: usize>(shape: [usize; D], deviation: f64) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, deviation), &Device::default())
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

/// Gives a layer weights and biases large enough for a mistake in either to show.
fn shake(layer: &mut Linear) {
    let [input, output] = layer.weight.val().dims();
    layer.weight = Param::from_tensor(random([input, output], (input as f64).powf(-0.5)));
    layer.bias = layer.bias.as_ref().map(|_| Param::from_tensor(random([output], 0.5)));
}

fn shake_attention(attention: &mut WindowAttention) {
    shake(&mut attention.qkv);
    shake(&mut attention.proj);
    let shape = attention.relative_position_bias_table.val().dims();
    attention.relative_position_bias_table = Param::from_tensor(random(shape, 1.0));
}

fn shake_norm(norm: &mut crate::layers::LayerNorm) {
    let [width] = norm.gamma.val().dims();
    norm.gamma = Param::from_tensor(random([width], 0.3) + 1.0);
    norm.beta = Param::from_tensor(random([width], 0.3));
}

fn shake_block(block: &mut SwinBlock) {
    shake_norm(&mut block.norm1);
    shake_attention(&mut block.attn);
    shake_norm(&mut block.norm2);
    shake(&mut block.mlp.fc1);
    shake(&mut block.mlp.fc2);
}

fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < tolerance, "{what}: {worst}");
}

fn grid_of(x: &Tensor<4>) -> Grid {
    let [images, side, _, width] = x.dims();
    Grid { images, side, width, values: numbers(x.clone()) }
}

#[test]
fn window_attention_equals_plain_loops() {
    let device = Device::default();
    device.seed(11);
    for (side, window, shift) in
        [(4, 4, 0), (8, 4, 0), (8, 4, 2), (12, 3, 1), (14, 7, 3), (7, 7, 0), (6, 2, 1), (3, 1, 0)]
    {
        let (width, heads) = (12, 3);
        let mut attention = WindowAttention::new(width, heads, window, &device);
        shake_attention(&mut attention);
        let x = random([2, side, side, width], 1.0);
        let ours = attention.forward(x.clone(), &Windows::new(side, window, shift, &device), Precision::F32);
        assert_eq!(ours.dims(), [2, side, side, width]);
        let theirs = Attention::of(&attention, heads, window).run(&grid_of(&x), shift);
        assert_close(&numbers(ours), &theirs.values, 1e-5, &format!("side {side}, window {window}, shift {shift}"));
    }
}

#[test]
fn a_hidden_token_changes_nothing() {
    let device = Device::default();
    device.seed(12);
    let (side, window, shift, width) = (8, 4, 2, 8);
    let mut attention = WindowAttention::new(width, 2, window, &device);
    shake_attention(&mut attention);
    let windows = Windows::new(side, window, shift, &device);
    let x = random([1, side, side, width], 1.0);
    // The roll puts the lower right corner (7, 7) beside the upper left (0, 0).
    let changed = x.clone().slice_assign([0..1, 7..8, 7..8, 0..width], Tensor::full([1, 1, 1, width], 9.0, &device));
    let corner =
        |x: Tensor<4>| numbers(attention.forward(x, &windows, Precision::F32).slice([0..1, 0..2, 0..2, 0..width]));
    assert_eq!(corner(x), corner(changed));
}

#[test]
fn relative_position_index_follows_the_formula_for_all_pairs() {
    for window in [1, 2, 3, 7, 12] {
        let index = relative_position_index(window);
        let (w, tokens) = (window as i64, window * window);
        assert_eq!(index.len(), tokens * tokens);
        for query in 0..tokens {
            for key in 0..tokens {
                let rows = (query / window) as i64 - (key / window) as i64;
                let columns = (query % window) as i64 - (key % window) as i64;
                let expected = (rows + w - 1) * (2 * w - 1) + columns + w - 1;
                assert_eq!(index[query * tokens + key], expected, "{window}: {query}, {key}");
            }
        }
        assert_eq!(index.iter().max(), Some(&((2 * w - 1).pow(2) - 1)));
    }
}

#[test]
fn patch_merging_equals_plain_loops() {
    let device = Device::default();
    device.seed(13);
    let mut merging = PatchMerging::new(6, &device);
    shake(&mut merging.reduction);
    shake_norm(&mut merging.norm);
    let x = random([2, 6, 6, 6], 1.0);
    let ours = merging.forward(x.clone(), Precision::F32);
    assert_eq!(ours.dims(), [2, 3, 3, 12]);
    let theirs = loops::merge(&grid_of(&x), &Norm::of(&merging.norm), &Dense::of(&merging.reduction));
    assert_close(&numbers(ours), &theirs.values, 1e-5, "merging");
}

#[test]
fn patch_merging_takes_rows_before_columns() {
    // One square: tokens 0 1 / 2 3. Its channels come out as 0, 2, 1, 3.
    let square =
        Tensor::<4>::from_data(TensorData::new(vec![0.0_f32, 1.0, 2.0, 3.0], [1, 2, 2, 1]), &Device::default());
    assert_eq!(numbers(super::merge::gather_squares(square)), [0.0, 2.0, 1.0, 3.0]);
}
