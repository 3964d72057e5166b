//! How fast the device multiplies matrices.

use std::time::Instant;

use anyhow::{Context, Result};
use burn::prelude::*;
use burn::tensor::{DType, Distribution};
use m3ae_model::M3aeConfig;
use serde::Serialize;

use crate::bench::work::Size;

/// How often each product is repeated.
const TIMES: usize = 5;

/// A matrix product `[m, k] · [k, n]` and the fastest of its runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Product {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub gflop_per_second: f64,
}

/// Rates of products as a block of the vision encoder makes them, forward and for a weight's gradient.
pub fn measure(config: &M3aeConfig, size: Size, device: &Device) -> Result<Vec<Product>> {
    let (rows, width) = (size.batch * (1 + config.vision.patches()), config.vision.output_width());
    let shapes = [(rows, width, 4 * width), (rows, 4 * width, width), (width, rows, 4 * width), (rows, width, width)];
    let product = |(m, k, n): (usize, usize, usize)| {
        let random = |shape: [usize; 2]| {
            let x = Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), device);
            if size.bf16 { x.cast(DType::BF16) } else { x }
        };
        let (a, b) = (random([m, k]), random([k, n]));
        let mut fastest = f64::INFINITY;
        // The first warms up.
        for _ in 0..=TIMES {
            device.sync().context("the device")?;
            let begun = Instant::now();
            let _result = a.clone().matmul(b.clone());
            device.sync().context("the device")?;
            fastest = fastest.min(begun.elapsed().as_secs_f64());
        }
        Ok(Product { m, k, n, gflop_per_second: 2.0 * (m * k * n) as f64 / 1e9 / fastest })
    };
    shapes.into_iter().map(product).collect()
}
