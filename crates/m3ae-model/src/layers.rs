//! The layers that the encoders, the fusion and the decoder are made of.

mod bert;
mod clip;
mod norm;
mod patch_embed;
mod rows;

pub(crate) use bert::BertLayerSizes;
pub use bert::{
    BertAttention, BertIntermediate, BertLayer, BertOutput, BertSelfAttention, Context, LayerOptions, LayerOutput,
};
pub(crate) use clip::BlockInit;
pub use clip::{ClipAttention, ClipBlock, ClipMlp, ClipTransformer};
pub use norm::LayerNorm;
pub(crate) use norm::NORM_EPSILON;
pub use patch_embed::PatchConv;
pub(crate) use rows::take_rows;
