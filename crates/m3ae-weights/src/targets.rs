//! The names and shapes of a model's parameters, as a PyTorch file has them.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::names::to_reference;

/// One parameter of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Dotted path in our module tree.
    pub path: String,
    /// Shape in PyTorch's layout: linear weights as `[out, in]`.
    pub shape: Vec<usize>,
    /// Whether the model keeps the transpose, as Burn's linear layers do.
    pub transposed: bool,
}

/// The parameters of `module` under the reference's names. Lazily initialised parameters stay uninitialised.
pub(crate) fn targets<M: Module>(module: &M) -> BTreeMap<String, Target> {
    let mut visitor = Visitor::default();
    module.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct Visitor {
    /// Field names and container types down to the current module.
    stack: Vec<(String, String)>,
    found: BTreeMap<String, Target>,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.push((name.to_owned(), container_type.to_owned()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A variant of an enum is no part of a path.
        let fields = self.stack.iter().filter(|(_, container)| !container.starts_with("Enum:"));
        let path = fields.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".");
        let linear = self.stack.last().is_some_and(|(_, container)| container == "Struct:Linear");
        let transposed = D == 2 && linear;
        let mut shape = param.lazy_shape().to_vec();
        if transposed {
            shape.reverse();
        }
        self.found.insert(to_reference(&path), Target { path, shape, transposed });
    }
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;
    use m3ae_model::M3aeConfig;

    use super::*;

    #[test]
    fn linear_weights_are_listed_as_pytorch_stores_them() {
        let model = M3aeConfig::base().init(&Device::default()).unwrap();
        let targets = targets(&model);
        let fc = &targets["vision_encoder.visual.transformer.resblocks.0.mlp.c_fc.weight"];
        assert_eq!((fc.shape.as_slice(), fc.transposed), (&[3072, 768][..], true));
        let words = &targets["language_encoder.embeddings.word_embeddings.weight"];
        assert_eq!((words.shape.as_slice(), words.transposed), (&[50265, 768][..], false));
        let norm = &targets["vision_encoder.visual.ln_pre.weight"];
        assert_eq!(norm.path, "vision_encoder.visual.ln_pre.gamma");
    }
}
