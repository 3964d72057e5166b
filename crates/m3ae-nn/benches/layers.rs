//! The layers that training spends its time in, forward and backward, as kernels and composed of Burn's operations: at the size of the
//! vision encoder's tokens in pre-training, `[4, 325, 768]`. With the build that the tests have:
//!
//! ```text
//! cargo bench --profile dev --bench layers
//! ```

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark: criterion's macros, and nothing to recover to")]

#[path = "../tests/plain/mod.rs"]
mod plain;

use std::time::Duration;

use burn::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};
use m3ae_nn::{Activation, Attention, Linear, Norm, Projections};
use plain::{random, random_linear};

const TOKENS: [usize; 3] = [4, 325, 768];
const WIDTH: usize = 768;
const HEADS: usize = 12;
/// Blocks in the stack that is timed as a whole.
const BLOCKS: usize = 4;

fn norm() -> Norm {
    Norm { gamma: random([WIDTH]), beta: random([WIDTH]), epsilon: 1e-5 }
}

fn packed(residual: Option<Tensor<3>>, projections: &Linear, output: &Linear) -> Attention {
    Attention {
        projections: Projections::Packed(projections.clone()),
        output: output.clone(),
        heads: HEADS,
        context: None,
        bias: None,
        dropout: 0.0,
        residual,
    }
}

fn plain_norm(x: Tensor<3>, norm: &Norm) -> Tensor<3> {
    burn::tensor::module::layer_norm(x, norm.gamma.clone(), Some(norm.beta.clone()), norm.epsilon)
}

/// A block of CLIP's vision transformer.
struct Block {
    norms: [Norm; 2],
    projections: Linear,
    output: Linear,
    inner: [Linear; 2],
}

impl Block {
    fn random() -> Self {
        Self {
            norms: [norm(), norm()],
            projections: random_linear(WIDTH, 3 * WIDTH),
            output: random_linear(WIDTH, WIDTH),
            inner: [random_linear(WIDTH, 4 * WIDTH), random_linear(4 * WIDTH, WIDTH)],
        }
    }

    fn by_kernels(&self, x: Tensor<3>) -> Option<Tensor<3>> {
        let [first, second] = self.inner.clone();
        let y = m3ae_nn::layer_norm(&x, self.norms[0].clone())?;
        let x = m3ae_nn::attention(&y, packed(Some(x), &self.projections, &self.output))?;
        let y = m3ae_nn::layer_norm(&x, self.norms[1].clone())?;
        m3ae_nn::mlp(&y, (first, second), Activation::QuickGelu, Some(x))
    }

    fn plain(&self, x: Tensor<3>) -> Tensor<3> {
        let [first, second] = &self.inner;
        let y = plain_norm(x.clone(), &self.norms[0]);
        let x = plain::attention(y, &packed(Some(x), &self.projections, &self.output));
        let y = plain_norm(x.clone(), &self.norms[1]);
        plain::feed_forward(y, (first, second), Activation::QuickGelu, Some(&x))
    }
}

/// Times forward and backward pass of both forms.
fn both(
    criterion: &mut Criterion,
    name: &str,
    kernels: impl Fn() -> Option<Tensor<3>>,
    composed: impl Fn() -> Tensor<3>,
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.bench_function("kernels", |bencher| bencher.iter(|| kernels().expect("on Flex").sum().backward()));
    group.bench_function("composed", |bencher| bencher.iter(|| composed().sum().backward()));
    group.finish();
}

fn layers(criterion: &mut Criterion) {
    let x: Tensor<3> = random(TOKENS);
    let block = Block::random();
    let attention = packed(None, &block.projections, &block.output);
    both(
        criterion,
        "attention",
        || m3ae_nn::attention(&x, attention.clone()),
        || plain::attention(x.clone(), &attention),
    );
    let norm = norm();
    both(criterion, "layer norm", || m3ae_nn::layer_norm(&x, norm.clone()), || plain_norm(x.clone(), &norm));
    for (name, activation) in [("GELU", Activation::Gelu), ("QuickGELU", Activation::QuickGelu)] {
        let [first, second] = &block.inner;
        both(
            criterion,
            &format!("feed-forward with {name}"),
            || m3ae_nn::mlp(&x, (first.clone(), second.clone()), activation, None),
            || plain::feed_forward(x.clone(), (first, second), activation, None),
        );
    }
    let blocks: Vec<Block> = (0..BLOCKS).map(|_| Block::random()).collect();
    both(
        criterion,
        &format!("{BLOCKS} blocks of ViT-B"),
        || blocks.iter().try_fold(x.clone(), |x, block| block.by_kernels(x)),
        || blocks.iter().fold(x.clone(), |x, block| block.plain(x)),
    );
}

criterion_group!(benches, layers);
criterion_main!(benches);
