//! The gradient of one parameter, found by the reference's name and in the reference's layout.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use m3ae_model::M3ae;
use m3ae_weights::to_reference;

/// The gradient of the parameter `name`, row-major; linear weights as `[out, in]`.
pub fn gradient(model: &M3ae, gradients: &GradientsParams, name: &str) -> Option<Vec<f64>> {
    let mut finder = Finder { gradients, name, path: Vec::new(), found: None };
    model.visit(&mut finder);
    finder.found
}

struct Finder<'a> {
    gradients: &'a GradientsParams,
    name: &'a str,
    path: Vec<(String, bool)>,
    found: Option<Vec<f64>>,
}

impl ModuleVisitor for Finder<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((name.to_owned(), container_type.ends_with("Linear")));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        if to_reference(&path.join(".")) != self.name {
            return;
        }
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let in_linear = self.path.last().is_some_and(|&(_, linear)| linear);
        let gradient = if in_linear && D == 2 { gradient.swap_dims(0, 1) } else { gradient };
        self.found = gradient.try_into_vec_as::<f64>().ok();
    }
}
