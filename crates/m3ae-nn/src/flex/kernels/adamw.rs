//! One pass of AdamW over a parameter, its gradient and its moments.

use rayon::prelude::*;

use super::{sum, vectorized};
use crate::AdamWStep;

/// Values that one task takes.
const PIECE: usize = 32 * 1024;

/// Updates `parameter`, `first` and `second` in place.
pub(crate) fn adamw(parameter: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32], step: &AdamWStep) {
    let [beta_1, beta_2, epsilon, step_size, correction, decay, scale] = [
        step.beta_1,
        step.beta_2,
        step.epsilon,
        step.step_size,
        step.bias_correction_2,
        step.decay_factor,
        step.gradient_scale,
    ]
    .map(|x| x as f32);
    let [new_1, new_2] = [1.0 - step.beta_1, 1.0 - step.beta_2].map(|x| x as f32);
    let pieces = parameter.par_chunks_mut(PIECE).zip(first.par_chunks_mut(PIECE)).zip(second.par_chunks_mut(PIECE));
    pieces.zip(gradient.par_chunks(PIECE)).for_each(|(((parameter, first), second), gradient)| {
        vectorized(|| {
            let moments = first.iter_mut().zip(second);
            for ((parameter, (first, second)), &gradient) in parameter.iter_mut().zip(moments).zip(gradient) {
                let gradient = gradient * scale;
                *first = *first * beta_1 + gradient * new_1;
                *second = *second * beta_2 + gradient * gradient * new_2;
                let update = *first / ((*second / correction).sqrt() + epsilon) * step_size;
                *parameter = *parameter * decay - update;
            }
        });
    });
}

/// The sum of squares, in float64 across pieces.
pub(crate) fn square_sum(x: &[f32]) -> f64 {
    let pieces: Vec<f32> = x.par_chunks(PIECE).map(|piece| vectorized(|| sum(piece, |x| x * x))).collect();
    pieces.into_iter().map(f64::from).sum()
}
