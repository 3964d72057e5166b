//! The vision encoder of a model: CLIP's transformer or Swin, behind one `forward`.

mod clip;
mod encoding;
mod swin;

use burn::module::{Content, Devices, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor};
use burn::prelude::*;
use m3ae_nn::Precision;

use crate::error::MaskingUnsupported;
pub use clip::{ClipEncoder, ClipVisual};
pub use encoding::ImageEncoding;
pub use swin::{
    PatchMerging, SwinBlock, SwinEncoder, SwinEncoding, SwinMlp, SwinPatchEmbed, SwinStage, WindowAttention,
};

/// The vision encoder of M3AE. Its variants add nothing to parameter paths, so both have the reference's names:
/// `vision_encoder.visual.conv1.weight` and `vision_encoder.patch_embed.proj.weight`.
#[derive(Debug, Clone)]
pub enum VisionEncoder {
    /// CLIP's vision transformer (docs/spec.md, section 1.1).
    Clip(ClipEncoder),
    /// Swin (docs/spec.md, section 1.2).
    Swin(SwinEncoder),
}

impl VisionEncoder {
    /// Encodes whole images `[B, 3, S, S]`, normalised as CLIP's.
    pub fn forward(&self, image: Tensor<4>, precision: Precision) -> ImageEncoding {
        match self {
            Self::Clip(clip) => clip.forward(image, None, precision),
            Self::Swin(swin) => {
                let encoding = swin.forward(image, precision);
                ImageEncoding {
                    visible_tokens: encoding.patch_embed.clone(),
                    patch_embed: encoding.patch_embed,
                    features: encoding.features,
                }
            }
        }
    }

    /// Encodes only the patches `ids_keep` `[B, K]` of images `[B, 3, S, S]`, in the order in which `ids_keep` has
    /// them.
    ///
    /// # Errors
    /// The encoder is Swin, which cannot leave patches out.
    pub fn forward_visible(
        &self,
        image: Tensor<4>,
        ids_keep: Tensor<2, Int>,
        precision: Precision,
    ) -> Result<ImageEncoding, MaskingUnsupported> {
        match self {
            Self::Clip(clip) => Ok(clip.forward(image, Some(ids_keep), precision)),
            Self::Swin(_) => Err(MaskingUnsupported),
        }
    }

    /// CLIP's transformer, if that is what the model has.
    #[must_use]
    pub fn clip(&self) -> Option<&ClipEncoder> {
        match self {
            Self::Clip(clip) => Some(clip),
            Self::Swin(_) => None,
        }
    }

    /// Swin, if that is what the model has.
    #[must_use]
    pub fn swin(&self) -> Option<&SwinEncoder> {
        match self {
            Self::Clip(_) => None,
            Self::Swin(swin) => Some(swin),
        }
    }
}

/// `$self` with `$module` bound to the encoder that is there.
macro_rules! each {
    ($self:ident, $module:ident => $result:expr) => {
        match $self {
            Self::Clip($module) => $result,
            Self::Swin($module) => $result,
        }
    };
}

/// What `#[derive(Module)]` gives, except that the derived form puts the variant's name into parameter paths.
impl Module for VisionEncoder {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        each!(self, module => module.visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        match self {
            Self::Clip(module) => Self::Clip(module.map(mapper)),
            Self::Swin(module) => Self::Swin(module.map(mapper)),
        }
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        each!(self, module => module.collect_devices(devices))
    }

    fn to_device(self, device: &Device) -> Self {
        match self {
            Self::Clip(module) => Self::Clip(module.to_device(device)),
            Self::Swin(module) => Self::Swin(module.to_device(device)),
        }
    }

    fn fork(self, device: &Device) -> Self {
        match self {
            Self::Clip(module) => Self::Clip(module.fork(device)),
            Self::Swin(module) => Self::Swin(module.fork(device)),
        }
    }

    fn train(self) -> Self {
        match self {
            Self::Clip(module) => Self::Clip(module.train()),
            Self::Swin(module) => Self::Swin(module.train()),
        }
    }

    fn valid(&self) -> Self {
        match self {
            Self::Clip(module) => Self::Clip(module.valid()),
            Self::Swin(module) => Self::Swin(module.valid()),
        }
    }

    fn materialize(self) -> Self {
        match self {
            Self::Clip(module) => Self::Clip(module.materialize()),
            Self::Swin(module) => Self::Swin(module.materialize()),
        }
    }
}

impl ModuleDisplayDefault for VisionEncoder {
    fn content(&self, content: Content) -> Option<Content> {
        each!(self, module => module.content(content))
    }
}

impl ModuleDisplay for VisionEncoder {}
