//! Initial weights.

use burn::module::{ModuleVisitor, Param, ParamId};
use burn::nn::{Embedding, Initializer, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;

/// Standard deviation of the initial weights of everything that is not pre-trained (docs/spec.md, section 1.5).
pub(crate) const INIT_STD: f64 = 0.02;

/// The distribution from which weights are drawn.
#[derive(Debug, Clone)]
pub(crate) struct Init {
    initializer: Initializer,
    /// What is drawn is multiplied by this.
    scale: f64,
}

impl Init {
    /// Normal(0, `std`) for weights that are not pre-trained: the published Normal(0, 0.02), scaled. With every `std` a
    /// seed gives the same weights up to their scale.
    pub(crate) fn fresh(std: f64) -> Self {
        Self { scale: std / INIT_STD, ..Self::normal(INIT_STD) }
    }

    /// Normal(0, `std`).
    pub(crate) fn normal(std: f64) -> Self {
        Self { initializer: Initializer::Normal { mean: 0.0, std }, scale: 1.0 }
    }

    /// Uniform within `±bound`.
    pub(crate) fn uniform(bound: f64) -> Self {
        Self { initializer: Initializer::Uniform { min: -bound, max: bound }, scale: 1.0 }
    }

    pub(crate) fn zeros() -> Self {
        Self { initializer: Initializer::Zeros, scale: 1.0 }
    }

    /// A parameter, drawn when it is first read.
    pub(crate) fn parameter<const D: usize>(&self, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
        let &Initializer::Normal { mean, std } = &self.initializer else { return self.initializer.init(shape, device) };
        if self.scale == 1.0 {
            return self.initializer.init(shape, device);
        }
        let scale = self.scale;
        let draw = move |device: &Device, require_grad: bool| {
            device.memory_persistent_allocations((), move |()| {
                let weights = Tensor::<D>::random(shape, Distribution::Normal(mean, std), device) * scale;
                if require_grad { weights.require_grad() } else { weights }
            })
        };
        Param::uninitialized(ParamId::new(), draw, device.clone(), true, shape.into())
    }

    /// A linear layer with zero bias.
    pub(crate) fn linear(&self, input: usize, output: usize, device: &Device) -> Linear {
        self.linear_with_bias(&Self::zeros(), input, output, device)
    }

    /// A linear layer whose bias has this distribution.
    pub(crate) fn linear_with_bias(&self, bias: &Self, input: usize, output: usize, device: &Device) -> Linear {
        let mut layer = self.linear_without_bias(input, output, device);
        layer.bias = Some(bias.parameter([output], device));
        layer
    }

    /// A linear layer without bias.
    pub(crate) fn linear_without_bias(&self, input: usize, output: usize, device: &Device) -> Linear {
        // Burn's parameters are lazy: the zeros that are replaced are never made.
        let zeros = LinearConfig::new(input, output).with_bias(false).with_initializer(Initializer::Zeros);
        Linear { weight: self.parameter([input, output], device), ..zeros.init(device) }
    }

    /// An embedding table.
    pub(crate) fn embedding(&self, rows: usize, width: usize, device: &Device) -> Embedding {
        Embedding { weight: self.parameter([rows, width], device) }
    }
}

impl Default for Init {
    fn default() -> Self {
        Self::fresh(INIT_STD)
    }
}

/// Draws a model's matrices and tables now, in the module's order. Everything else, and the packed projections of
/// CLIP's attention, is drawn when it is first read. This is the order in which a model with another deviation than the
/// published one was always drawn: a seed keeps giving the same weights.
pub(crate) fn draw_matrices(model: &impl Module) {
    /// CLIP's name of the packed projection of queries, keys and values.
    const PACKED: &str = "in_proj";

    #[derive(Default)]
    struct Draw {
        packed: bool,
    }

    impl ModuleVisitor for Draw {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.packed |= name == PACKED;
        }

        fn exit_module(&mut self, name: &str, _container: &str) {
            self.packed &= name != PACKED;
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D >= 2 && !self.packed {
                let _ = param.val();
            }
        }
    }

    model.visit(&mut Draw::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deviation(init: &Init) -> f32 {
        let weights = init.parameter([200, 200], &Device::default()).val();
        weights.var(1).mean().into_scalar::<f32>().sqrt()
    }

    #[test]
    fn weights_have_the_deviation_that_is_asked_for() {
        for std in [0.02, 0.05, 0.3] {
            assert!((deviation(&Init::fresh(std)) / std as f32 - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn a_seed_gives_the_same_weights_up_to_their_scale() {
        let device = Device::default();
        let draw = |std| {
            device.seed(9);
            Init::fresh(std).linear(3, 5, &device).weight.val()
        };
        (draw(0.02) * 2.5).into_data().assert_eq(&draw(0.05).into_data(), true);
    }

    #[test]
    fn scaled_weights_are_leaves_of_the_graph() {
        let device = Device::default().autodiff();
        let weights = Init::fresh(0.05).parameter([4, 4], &device);
        let gradients = (weights.val() * 3.0).sum().backward();
        assert_eq!(weights.val().grad(&gradients).unwrap().min().into_scalar::<f32>(), 3.0);
    }
}
