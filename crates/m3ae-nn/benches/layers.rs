//! The layers that training spends its time in, forward and backward: this crate's operators on Flex (kernels) beside
//! the same formulas in Burn's operations. The size is that of the vision encoder's tokens in pre-training,
//! `[4, 325, 768]`. With the build that the tests have:
//!
//! ```text
//! cargo bench --profile dev --bench layers
//! ```

#![allow(missing_docs, reason = "criterion's macros")]

use std::time::Duration;

use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::module::layer_norm as composed_norm;
use criterion::{Criterion, criterion_group, criterion_main};
use m3ae_nn::{
    Activation, AttentionOptions, AttentionWeights, FeedForwardWeights, LinearWeights, NormWeights, Precision,
    Projections, attention, feed_forward, layer_norm, linear,
};

const TOKENS: [usize; 3] = [4, 325, 768];
const WIDTH: usize = 768;
const HEADS: usize = 12;
/// Blocks in the stack that is timed as a whole.
const BLOCKS: usize = 4;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 0.7), &Device::flex().autodiff()).require_grad()
}

fn random_linear(input: usize, output: usize) -> LinearWeights {
    LinearWeights { weight: random([input, output]), bias: Some(random([output])) }
}

fn random_norm() -> NormWeights {
    NormWeights { gamma: random([WIDTH]), beta: random([WIDTH]), epsilon: 1e-5 }
}

/// A block of CLIP's vision transformer.
struct Block {
    norms: [NormWeights; 2],
    attention: AttentionWeights,
    feed_forward: FeedForwardWeights,
}

impl Block {
    fn random() -> Self {
        Self {
            norms: [random_norm(), random_norm()],
            attention: AttentionWeights {
                heads: HEADS,
                projections: Projections::Packed(random_linear(WIDTH, 3 * WIDTH)),
                output: random_linear(WIDTH, WIDTH),
            },
            feed_forward: FeedForwardWeights {
                first: random_linear(WIDTH, 4 * WIDTH),
                second: random_linear(4 * WIDTH, WIDTH),
            },
        }
    }

    fn attend(&self, x: Tensor<3>, residual: Option<Tensor<3>>) -> Tensor<3> {
        attention(x, self.attention.clone(), AttentionOptions { residual, ..AttentionOptions::default() }).hidden
    }

    /// The attention weights are only to be had from the composed operations.
    fn attend_composed(&self, x: Tensor<3>, residual: Option<Tensor<3>>) -> Tensor<3> {
        let options = AttentionOptions { residual, need_weights: true, ..AttentionOptions::default() };
        attention(x, self.attention.clone(), options).hidden
    }

    fn feed(&self, x: Tensor<3>, residual: Option<Tensor<3>>, activation: Activation) -> Tensor<3> {
        feed_forward(x, self.feed_forward.clone(), activation, residual, Precision::F32)
    }

    fn feed_composed(&self, x: Tensor<3>, residual: Option<Tensor<3>>, activation: Activation) -> Tensor<3> {
        let inner = activation.forward(linear(x, self.feed_forward.first.clone(), Precision::F32));
        let output = linear(inner, self.feed_forward.second.clone(), Precision::F32);
        residual.into_iter().fold(output, |output, residual| residual + output)
    }

    fn norm_composed(&self, number: usize, x: Tensor<3>) -> Tensor<3> {
        let NormWeights { gamma, beta, epsilon } = self.norms[number].clone();
        composed_norm(x, gamma, Some(beta), epsilon)
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.attend(layer_norm(x.clone(), self.norms[0].clone()), Some(x));
        self.feed(layer_norm(x.clone(), self.norms[1].clone()), Some(x), Activation::QuickGelu)
    }

    fn forward_composed(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.attend_composed(self.norm_composed(0, x.clone()), Some(x));
        self.feed_composed(self.norm_composed(1, x.clone()), Some(x), Activation::QuickGelu)
    }
}

/// Times forward and backward pass of both forms.
fn both(criterion: &mut Criterion, name: &str, kernels: impl Fn() -> Tensor<3>, composed: impl Fn() -> Tensor<3>) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.bench_function("kernels", |bencher| bencher.iter(|| kernels().sum().backward()));
    group.bench_function("composed", |bencher| bencher.iter(|| composed().sum().backward()));
    group.finish();
}

fn layers(criterion: &mut Criterion) {
    let x: Tensor<3> = random(TOKENS);
    let block = Block::random();
    both(criterion, "attention", || block.attend(x.clone(), None), || block.attend_composed(x.clone(), None));
    both(
        criterion,
        "layer norm",
        || layer_norm(x.clone(), block.norms[0].clone()),
        || block.norm_composed(0, x.clone()),
    );
    for (name, activation) in [("GELU", Activation::Gelu), ("QuickGELU", Activation::QuickGelu)] {
        both(
            criterion,
            &format!("feed-forward with {name}"),
            || block.feed(x.clone(), None, activation),
            || block.feed_composed(x.clone(), None, activation),
        );
    }
    let blocks: Vec<Block> = (0..BLOCKS).map(|_| Block::random()).collect();
    both(
        criterion,
        &format!("{BLOCKS} blocks of ViT-B"),
        || blocks.iter().fold(x.clone(), |x, block| block.forward(x)),
        || blocks.iter().fold(x.clone(), |x, block| block.forward_composed(x)),
    );
}

criterion_group!(benches, layers);
criterion_main!(benches);
