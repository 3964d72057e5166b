//! One step of AdamW for one parameter, and the squares that gradient clipping needs.

use burn::prelude::*;
use burn::tensor::DType;

/// A parameter and its moments, flat and of the same length.
#[derive(Debug, Clone)]
pub struct AdamState {
    /// The parameter's values.
    pub parameter: Tensor<1>,
    /// Moving average of the gradients (PyTorch's `exp_avg`).
    pub first_moment: Tensor<1>,
    /// Moving average of the squared gradients (PyTorch's `exp_avg_sq`).
    pub second_moment: Tensor<1>,
}

/// The numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Learning rate divided by the first moment's bias correction, `1 - beta_1^step`.
    pub step_size: f64,
    /// The second moment's bias correction, `1 - beta_2^step`.
    pub bias_correction_2: f64,
    /// Multiplies the parameter, `1 - learning rate · weight decay`: decoupled weight decay.
    pub decay_factor: f64,
    /// Multiplies the gradient first: clipping.
    pub gradient_scale: f64,
}

/// One step of AdamW: with g = gradient scale · gradient,
/// m ← β₁·m + (1 - β₁)·g; v ← β₂·v + (1 - β₂)·g²; θ ← decay factor · θ - step size · m / (√(v / bias correction) + ε).
///
/// On Flex tensors that nothing else holds are updated in place.
///
/// # Panics
/// The gradient or a moment does not have the parameter's length.
#[must_use]
pub fn adamw(state: AdamState, gradient: Tensor<1>, step: &AdamWStep) -> AdamState {
    let length = state.parameter.dims();
    for (name, tensor) in
        [("first moment", &state.first_moment), ("second moment", &state.second_moment), ("gradient", &gradient)]
    {
        let other = tensor.dims();
        assert!(other == length, "adamw: the {name} has the shape {other:?}, the parameter {length:?}");
    }
    #[cfg(feature = "flex")]
    if crate::flex::can_update(&state, &gradient) {
        return crate::flex::adamw(state, gradient, step);
    }
    composed(state, gradient, step)
}

/// The same in Burn's operations.
pub(crate) fn composed(state: AdamState, gradient: Tensor<1>, step: &AdamWStep) -> AdamState {
    let gradient = if step.gradient_scale == 1.0 { gradient } else { gradient * step.gradient_scale };
    let first_moment = state.first_moment * step.beta_1 + gradient.clone() * (1.0 - step.beta_1);
    let second_moment = state.second_moment * step.beta_2 + gradient.square() * (1.0 - step.beta_2);
    let denominator = (second_moment.clone() / step.bias_correction_2).sqrt() + step.epsilon;
    let parameter = state.parameter * step.decay_factor - first_moment.clone() / denominator * step.step_size;
    AdamState { parameter, first_moment, second_moment }
}

/// The sum of the squares of each tensor, without gradients.
///
/// On other backends than Flex the sums are computed in float32 on the device and read from it together: one
/// synchronisation for all tensors, which therefore have to be on one device.
#[must_use]
pub fn square_sums(tensors: &[Tensor<1>]) -> Vec<f64> {
    #[cfg(feature = "flex")]
    if let Some(sums) = crate::flex::square_sums(tensors) {
        return sums;
    }
    composed_square_sums(tensors)
}

/// The same in Burn's operations.
pub(crate) fn composed_square_sums(tensors: &[Tensor<1>]) -> Vec<f64> {
    if tensors.is_empty() {
        return Vec::new();
    }
    let sums = tensors.iter().map(|tensor| {
        let tensor = tensor.clone();
        let tensor = if tensor.device().is_autodiff() { tensor.inner() } else { tensor };
        let tensor = if tensor.dtype() == DType::F32 { tensor } else { tensor.cast(DType::F32) };
        tensor.square().sum() // [1]
    });
    Tensor::cat(sums.collect(), 0).into_data().iter::<f32>().map(f64::from).collect()
}
