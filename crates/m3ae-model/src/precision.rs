//! Precision policy: matrix products may run in bfloat16, everything else stays in float32 (design decision 8).

use std::cell::Cell;

use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::DType;
use serde::{Deserialize, Serialize};

/// The type in which matrix products of linear layers and attention are computed. Weights, softmax, layer norm, activations,
/// residuals, losses and reductions are float32 whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    #[default]
    F32,
    /// bfloat16: operands are rounded at the product's edge, its result is widened again. Faster where the device has matrix units for
    /// it.
    Bf16,
}

thread_local! {
    static PRODUCTS: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Runs `f` with this precision of products, on this thread. The backward pass of what `f` computes has the same.
pub fn with_precision<T>(precision: Precision, f: impl FnOnce() -> T) -> T {
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            PRODUCTS.set(self.0);
        }
    }
    let _restore = Restore(PRODUCTS.replace(precision));
    f()
}

/// Whether products are what the kernels compute: in float32.
pub(crate) fn kernels() -> bool {
    PRODUCTS.get() == Precision::F32
}

/// A linear layer.
pub(crate) fn dense<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    if PRODUCTS.get() == Precision::F32 {
        return layer.forward(x);
    }
    let product = product(x, layer.weight.val().unsqueeze());
    match &layer.bias {
        Some(bias) => product + bias.val().unsqueeze(),
        None => product,
    }
}

/// A matrix product.
pub(crate) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    match PRODUCTS.get() {
        Precision::F32 => a.matmul(b),
        Precision::Bf16 => a.cast(DType::BF16).matmul(b.cast(DType::BF16)).cast(DType::F32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Distribution;

    #[test]
    fn products_are_rounded_and_everything_comes_back_in_float32() {
        let device = Device::default().autodiff();
        device.seed(5);
        let layer = LinearConfig::new(64, 32).init(&device);
        let x = Tensor::<3>::random([2, 3, 64], Distribution::Normal(0.0, 1.0), &device).require_grad();
        let run = |precision| {
            let y = with_precision(precision, || dense(&layer, x.clone()));
            assert_eq!(y.dtype(), DType::F32);
            let gradients = y.clone().sum().backward();
            let gradient = x.grad(&gradients).unwrap();
            assert_eq!(gradient.dtype(), DType::F32);
            (y.inner(), gradient)
        };
        let ((exact, exact_gradient), (rounded, rounded_gradient)) = (run(Precision::F32), run(Precision::Bf16));
        for (a, b) in [(exact, rounded), (exact_gradient, rounded_gradient)] {
            let scale = a.clone().abs().max().into_scalar::<f32>();
            let difference = (a - b).abs().max().into_scalar::<f32>() / scale;
            // bfloat16 has 8 bits: each operand and the result are off by at most 2^-9, relatively.
            assert!(difference > 0.0 && difference < 0.01, "{difference}");
        }
        assert_eq!(PRODUCTS.get(), Precision::F32);
    }
}
