//! AdamW with decoupled weight decay.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use m3ae_model::M3ae;
use m3ae_nn::{AdamState, AdamWStep};

use super::groups::{Group, Rate};
use super::path::ParamPath;

/// AdamW's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Base learning rate; the schedule's factor multiplies it.
    pub learning_rate: f64,
    /// Multiplier of the heads' rate.
    pub lr_multiplier_head: f64,
    /// Multiplier of the fusion's rate.
    pub lr_multiplier_multi_modal: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
}

impl AdamWConfig {
    /// The published constants (0.9, 0.98, 1e-8; weight decay 0.01) at this base rate, without multipliers.
    #[must_use]
    pub fn published(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            lr_multiplier_head: 1.0,
            lr_multiplier_multi_modal: 1.0,
            weight_decay: 0.01,
            beta_1: 0.9,
            beta_2: 0.98,
            epsilon: 1e-8,
        }
    }

    /// The learning rate of a group when the schedule stands at `factor`.
    #[must_use]
    pub fn rate(&self, rate: Rate, factor: f64) -> f64 {
        let multiplier = match rate {
            Rate::Base => 1.0,
            Rate::Head => self.lr_multiplier_head,
            Rate::MultiModal => self.lr_multiplier_multi_modal,
        };
        self.learning_rate * multiplier * factor
    }
}

/// The two moments of one parameter, flat.
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    pub first: Tensor<1>,
    pub second: Tensor<1>,
    pub steps: i32,
}

/// AdamW with decoupled decay, as PyTorch's. A parameter without a gradient in a step is left alone.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimiser that has not stepped yet.
    #[must_use]
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, moments: BTreeMap::new() }
    }

    /// The constants.
    #[must_use]
    pub fn config(&self) -> &AdamWConfig {
        &self.config
    }

    /// Updates every parameter that has a gradient; `factor` is the schedule's.
    #[must_use]
    pub fn step(&mut self, model: M3ae, gradients: GradientsParams, factor: f64) -> M3ae {
        self.step_scaled(model, gradients, factor, None)
    }

    /// As [`step`](Self::step), with every gradient multiplied by `scale` first.
    #[must_use]
    pub fn step_scaled(&mut self, model: M3ae, gradients: GradientsParams, factor: f64, scale: Option<f64>) -> M3ae {
        model.map(&mut Step { optimizer: self, gradients, factor, scale, path: ParamPath::default() })
    }

    /// The moments by parameter: shared, not copied.
    pub(crate) fn moments(&self) -> BTreeMap<String, Moments> {
        self.moments.clone()
    }

    /// Goes on from moments that were saved.
    pub(crate) fn restore(&mut self, moments: BTreeMap<String, Moments>) {
        self.moments = moments;
    }

    /// `θ ← θ(1 - ηλ) - η · m̂ / (√v̂ + ε)` for one flat parameter.
    fn update(
        &mut self,
        name: String,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        factor: f64,
        scale: Option<f64>,
    ) -> Tensor<1> {
        let AdamWConfig { weight_decay, beta_1, beta_2, epsilon, .. } = self.config;
        let group = Group::of(&name);
        let rate = self.config.rate(group.rate, factor);
        let (first_moment, second_moment, steps) = match self.moments.remove(&name) {
            None => (parameter.zeros_like(), parameter.zeros_like(), 1),
            Some(Moments { first, second, steps }) => (first, second, steps + 1),
        };
        let state = AdamState { parameter, first_moment, second_moment };
        let step = AdamWStep {
            beta_1,
            beta_2,
            epsilon,
            step_size: rate / (1.0 - beta_1.powi(steps)),
            bias_correction_2: 1.0 - beta_2.powi(steps),
            decay_factor: if group.decay { 1.0 - rate * weight_decay } else { 1.0 },
            gradient_scale: scale.unwrap_or(1.0),
        };
        let AdamState { parameter, first_moment, second_moment } = m3ae_nn::adamw(state, gradient, &step);
        self.moments.insert(name, Moments { first: first_moment, second: second_moment, steps });
        parameter
    }
}

/// The model's structure without its values.
pub(crate) fn placeholder(model: &M3ae) -> M3ae {
    struct Empty;
    impl ModuleMapper for Empty {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = param.consume();
            Param::from_mapped_value(id, Tensor::empty([0; D], &tensor.device()), mapper)
        }
    }
    model.clone().map(&mut Empty)
}

struct Step<'a> {
    optimizer: &'a mut AdamW,
    gradients: GradientsParams,
    factor: f64,
    scale: Option<f64>,
    path: ParamPath,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let (shape, strategy) = (tensor.shape(), tensor.gradient_checkpointing_strategy());
        let count = shape.num_elements();
        let flat = |tensor: Tensor<D>| tensor.reshape([count]);
        let name = self.path.reference_name();
        let updated = self.optimizer.update(name, flat(tensor.inner()), flat(gradient), self.factor, self.scale);
        let tensor = Tensor::from_inner(updated.reshape(shape));
        let tensor = match strategy {
            Some(strategy) => tensor.with_gradient_checkpointing_strategy(strategy),
            None => tensor,
        };
        let tensor = tensor.require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_follow_the_formula() {
        let config = AdamWConfig { lr_multiplier_head: 2.0, ..AdamWConfig::published(0.1) };
        let mut optimizer = AdamW::new(config);
        let device = Device::default();
        let mut parameter = Tensor::<1>::from_data([1.0], &device);
        let (mut expected, mut m, mut v) = (1.0_f64, 0.0, 0.0);
        for (step, gradient) in [(1, 0.5_f64), (2, -0.25)] {
            parameter = optimizer.update(
                "itm_head.fc.weight".into(),
                parameter,
                Tensor::from_data([gradient], &device),
                0.5,
                None,
            );
            let rate = 0.1 * 2.0 * 0.5;
            m = 0.9 * m + 0.1 * gradient;
            v = 0.98 * v + 0.02 * gradient * gradient;
            let (m_hat, v_hat) = (m / (1.0 - 0.9_f64.powi(step)), v / (1.0 - 0.98_f64.powi(step)));
            expected = expected * (1.0 - rate * 0.01) - rate * m_hat / (v_hat.sqrt() + 1e-8);
        }
        assert!((f64::from(parameter.into_scalar::<f32>()) - expected).abs() < 1e-6);
    }
}
