//! Norms of gradients.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use m3ae_model::M3ae;
use m3ae_nn::square_sums;

use super::path::ParamPath;

/// The Euclidean norm of all gradients together. Reads from the device once.
#[must_use]
pub fn gradient_norm(model: &M3ae, gradients: &GradientsParams) -> f64 {
    squares(model, gradients).values().sum::<f64>().sqrt()
}

/// The norm of each parameter's gradient too, by the reference's names: to look into a model.
#[must_use]
pub fn gradient_norms(model: &M3ae, gradients: &GradientsParams) -> GradientNorms {
    let squares = squares(model, gradients);
    let total = squares.values().sum::<f64>().sqrt();
    GradientNorms { total, by_parameter: squares.into_iter().map(|(name, square)| (name, square.sqrt())).collect() }
}

/// The sum of each gradient's squares, by the reference's names: always added in the same order.
fn squares(model: &M3ae, gradients: &GradientsParams) -> BTreeMap<String, f64> {
    let mut visitor = Flatten { gradients, path: ParamPath::default(), names: Vec::new(), flat: Vec::new() };
    model.visit(&mut visitor);
    visitor.names.into_iter().zip(square_sums(&visitor.flat)).collect()
}

/// Euclidean norms of gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientNorms {
    /// Of all parameters together.
    pub total: f64,
    /// Of each parameter that has a gradient.
    pub by_parameter: BTreeMap<String, f64>,
}

/// Collects the gradients that there are, with the names of their parameters.
struct Flatten<'a> {
    gradients: &'a GradientsParams,
    path: ParamPath,
    names: Vec<String>,
    flat: Vec<Tensor<1>>,
}

impl ModuleVisitor for Flatten<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.names.push(self.path.reference_name());
            self.flat.push(gradient.reshape([-1]));
        }
    }
}
