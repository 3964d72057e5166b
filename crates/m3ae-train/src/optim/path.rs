//! Names of parameters while a model is visited.

use m3ae_weights::to_reference;

/// The dotted path of the module being visited.
#[derive(Debug, Default)]
pub(super) struct ParamPath(Vec<String>);

impl ParamPath {
    /// Enum variants are no part of parameter names.
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        let piece = if container.starts_with("Enum:") { "" } else { name };
        self.0.push(piece.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.0.pop();
    }

    /// The reference's name of the parameter.
    pub(super) fn reference_name(&self) -> String {
        let pieces: Vec<&str> = self.0.iter().map(String::as_str).filter(|piece| !piece.is_empty()).collect();
        to_reference(&pieces.join("."))
    }
}
