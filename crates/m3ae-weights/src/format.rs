//! Containers of tensors.

use std::fmt;

/// A container of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A PyTorch Lightning checkpoint: weights under `state_dict`.
    Lightning,
    /// A PyTorch state dictionary, zip or legacy.
    Pytorch,
    /// A TorchScript archive, as OpenAI ships CLIP.
    TorchScript,
    /// safetensors.
    Safetensors,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lightning => "PyTorch-Lightning checkpoint",
            Self::Pytorch => "PyTorch state dictionary",
            Self::TorchScript => "TorchScript archive",
            Self::Safetensors => "safetensors",
        })
    }
}
