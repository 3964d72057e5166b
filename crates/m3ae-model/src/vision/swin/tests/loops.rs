//! The second implementation. No tensor library: indices, sums and one softmax per token and head.

use burn::nn::Linear;

use super::numbers;
use crate::layers::LayerNorm;
use crate::vision::swin::block::SwinBlock;
use crate::vision::swin::window::WindowAttention;

/// `[images, side, side, width]`, row by row.
#[derive(Clone)]
pub struct Grid {
    pub images: usize,
    pub side: usize,
    pub width: usize,
    pub values: Vec<f32>,
}

impl Grid {
    pub fn zeros(images: usize, side: usize, width: usize) -> Self {
        Self { images, side, width, values: vec![0.0; images * side * side * width] }
    }

    fn start(&self, image: usize, row: usize, column: usize) -> usize {
        ((image * self.side + row) * self.side + column) * self.width
    }

    pub fn token(&self, image: usize, row: usize, column: usize) -> &[f32] {
        &self.values[self.start(image, row, column)..][..self.width]
    }

    pub fn set(&mut self, image: usize, row: usize, column: usize, token: &[f32]) {
        let start = self.start(image, row, column);
        self.values[start..start + self.width].copy_from_slice(token);
    }

    /// Every token through `f`, which may change the width.
    pub fn map(&self, f: impl Fn(&[f32]) -> Vec<f32>) -> Self {
        let values: Vec<f32> = self.values.chunks(self.width).flat_map(f).collect();
        Self { width: values.len() * self.width / self.values.len(), values, ..*self }
    }

    fn plus(mut self, other: &Self) -> Self {
        self.values.iter_mut().zip(&other.values).for_each(|(a, b)| *a += b);
        self
    }
}

/// y_j = b_j + Σ_i x_i · w_ij
pub struct Dense {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    outputs: usize,
}

impl Dense {
    pub fn of(layer: &Linear) -> Self {
        let [_, outputs] = layer.weight.val().dims();
        let bias = layer.bias.as_ref().map(|bias| numbers(bias.val()));
        Self { weight: numbers(layer.weight.val()), bias, outputs }
    }

    pub fn run(&self, x: &[f32]) -> Vec<f32> {
        let output = |j: usize| {
            let bias = self.bias.as_ref().map_or(0.0, |bias| f64::from(bias[j]));
            let sum: f64 =
                x.iter().enumerate().map(|(i, &x)| f64::from(x) * f64::from(self.weight[i * self.outputs + j])).sum();
            (bias + sum) as f32
        };
        (0..self.outputs).map(output).collect()
    }
}

/// (x - mean) / √(variance + 1e-5) · gamma + beta
pub struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl Norm {
    pub fn of(norm: &LayerNorm) -> Self {
        Self { gamma: numbers(norm.gamma.val()), beta: numbers(norm.beta.val()) }
    }

    pub fn run(&self, x: &[f32]) -> Vec<f32> {
        let count = x.len() as f64;
        let mean = x.iter().copied().map(f64::from).sum::<f64>() / count;
        let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        let scaled = |(i, &x): (usize, &f32)| {
            let unit = (f64::from(x) - mean) / (variance + 1e-5).sqrt();
            (unit * f64::from(self.gamma[i]) + f64::from(self.beta[i])) as f32
        };
        x.iter().enumerate().map(scaled).collect()
    }
}

/// Attention in windows, token by token.
pub struct Attention {
    qkv: Dense,
    proj: Dense,
    table: Vec<f32>,
    heads: usize,
    window: usize,
}

impl Attention {
    pub fn of(attention: &WindowAttention, heads: usize, window: usize) -> Self {
        let table = numbers(attention.relative_position_bias_table.val());
        Self { qkv: Dense::of(&attention.qkv), proj: Dense::of(&attention.proj), table, heads, window }
    }

    pub fn run(&self, x: &Grid, shift: usize) -> Grid {
        let mut output = x.clone();
        for image in 0..x.images {
            for row in 0..x.side {
                for column in 0..x.side {
                    let token = self.token(x, shift, image, (row, column));
                    // Where this token of the shifted grid really is.
                    let (row, column) = ((row + shift) % x.side, (column + shift) % x.side);
                    output.set(image, row, column, &token);
                }
            }
        }
        output
    }

    /// What the token at `at` of the shifted grid becomes.
    fn token(&self, x: &Grid, shift: usize, image: usize, at: (usize, usize)) -> Vec<f32> {
        let (w, head_width) = (self.window, x.width / self.heads);
        let packed = |(row, column): (usize, usize)| {
            self.qkv.run(x.token(image, (row + shift) % x.side, (column + shift) % x.side))
        };
        // The shifted grid falls into nine regions; a window's tokens see those of their own region only.
        let band = |place: usize| match place {
            _ if shift == 0 || place < x.side - w => 0,
            _ if place < x.side - shift => 1,
            _ => 2,
        };
        let region = |(row, column): (usize, usize)| 3 * band(row) + band(column);
        let (top, left) = (at.0 / w * w, at.1 / w * w);
        let visible: Vec<(usize, usize)> = (0..w * w)
            .map(|token| (top + token / w, left + token % w))
            .filter(|&other| region(other) == region(at))
            .collect();

        let query = packed(at);
        let others: Vec<Vec<f32>> = visible.iter().map(|&other| packed(other)).collect();
        let mut context = Vec::with_capacity(x.width);
        for head in 0..self.heads {
            let part = |of: usize| of * x.width + head * head_width..of * x.width + (head + 1) * head_width;
            let scores: Vec<f64> = visible
                .iter()
                .zip(&others)
                .map(|(&other, packed)| {
                    let product: f64 =
                        query[part(0)].iter().zip(&packed[part(1)]).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    let (rows, columns) = (at.0 + w - 1 - other.0, at.1 + w - 1 - other.1);
                    let bias = self.table[(rows * (2 * w - 1) + columns) * self.heads + head];
                    product / (head_width as f64).sqrt() + f64::from(bias)
                })
                .collect();
            let highest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
            let total: f64 = weights.iter().sum();
            context.extend(part(2).map(|i| {
                let sum: f64 = weights.iter().zip(&others).map(|(weight, packed)| weight * f64::from(packed[i])).sum();
                (sum / total) as f32
            }));
        }
        self.proj.run(&context)
    }
}

/// x · Φ(x), with the error function from its series (which converges everywhere).
fn gelu(x: f32) -> f32 {
    let z = f64::from(x) / std::f64::consts::SQRT_2;
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    (f64::from(x) * 0.5 * (1.0 + sum * std::f64::consts::FRAC_2_SQRT_PI)) as f32
}

pub fn block(x: &Grid, block: &SwinBlock, heads: usize, window: usize, shift: usize) -> Grid {
    let (norm1, norm2) = (Norm::of(&block.norm1), Norm::of(&block.norm2));
    let (fc1, fc2) = (Dense::of(&block.mlp.fc1), Dense::of(&block.mlp.fc2));
    let x = Attention::of(&block.attn, heads, window).run(&x.map(|x| norm1.run(x)), shift).plus(x);
    let inner = |x: &[f32]| fc1.run(&norm2.run(x)).into_iter().map(gelu).collect::<Vec<_>>();
    x.map(|x| fc2.run(&inner(x))).plus(&x)
}

pub fn merge(x: &Grid, norm: &Norm, reduction: &Dense) -> Grid {
    let mut output = Grid::zeros(x.images, x.side / 2, 2 * x.width);
    for image in 0..x.images {
        for row in 0..x.side / 2 {
            for column in 0..x.side / 2 {
                let square = [(0, 0), (1, 0), (0, 1), (1, 1)]
                    .iter()
                    .flat_map(|&(down, right)| x.token(image, 2 * row + down, 2 * column + right).to_vec())
                    .collect::<Vec<_>>();
                output.set(image, row, column, &reduction.run(&norm.run(&square)));
            }
        }
    }
    output
}
