//! Describes a file: its kind, tensors, parameters by part, heads, and the configuration it needs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use m3ae_model::{ClipVisionConfig, M3aeConfig, SwinConfig, TextConfig, TextFamily, VisionConfig};

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::folder::CONFIG_FILE;
use crate::format::Format;
use crate::infer::find_config;
use crate::names::{Head, clip::is_vision, ignorable, text::prefix};
use crate::settings::{HfTextConfig, read_settings};
use crate::{clip, stored, text};

/// The kind of model that a file's tensors belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An M3AE model.
    M3ae,
    /// CLIP with a vision transformer.
    Clip,
    /// A RoBERTa text encoder.
    Roberta,
    /// A BERT text encoder.
    Bert,
    /// None of these.
    Unknown,
}

/// A tensor as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its shape, outermost axis first.
    pub shape: Vec<usize>,
    /// Its type.
    pub dtype: DType,
}

/// The configuration that a file's weights need.
#[derive(Clone, Debug, PartialEq)]
pub enum Needs {
    /// An M3AE model.
    M3ae(Box<M3aeConfig>),
    /// A vision encoder, at the image size of CLIP's own position table.
    Vision(ClipVisionConfig),
    /// A text encoder.
    Text(TextConfig),
    /// Unknown, and why.
    Unknown(String),
}

/// A description of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointInfo {
    /// The file.
    pub path: PathBuf,
    /// Its container.
    pub format: Format,
    /// The kind of model.
    pub kind: Kind,
    /// All tensors, in alphabetical order.
    pub tensors: Vec<TensorInfo>,
    /// Number of stored values by part of the model, in alphabetical order; `not used` counts the tensors that M3AE
    /// does not use.
    pub parts: BTreeMap<String, usize>,
    /// Heads of an M3AE model.
    pub heads: Vec<Head>,
    /// The configuration its weights need.
    pub needs: Needs,
}

/// Describes a checkpoint file or model folder of any format that [`Checkpoint::open`] reads. Tensor bytes are not
/// read.
///
/// # Errors
/// As [`Checkpoint::open`].
pub fn info(path: &Path) -> Result<CheckpointInfo, WeightsError> {
    let checkpoint = Checkpoint::open(path)?;
    let kind = kind(&checkpoint);
    let tensors: Vec<TensorInfo> = checkpoint
        .tensors
        .iter()
        .map(|(name, tensor)| TensorInfo { name: name.clone(), shape: tensor.shape.clone(), dtype: tensor.dtype })
        .collect();
    let mut parts = BTreeMap::<String, usize>::new();
    for TensorInfo { name, shape, .. } in &tensors {
        let count = parts.entry(part(name, kind)).or_default();
        *count = count.saturating_add(stored::elements(shape).unwrap_or(usize::MAX));
    }
    let is_there = |head: &Head| checkpoint.names().any(|name| name.starts_with(head.prefix()));
    let heads = Head::ALL.into_iter().filter(is_there).collect();
    let needs = needs(&checkpoint, kind).unwrap_or_else(|error| Needs::Unknown(error.to_string()));
    Ok(CheckpointInfo { path: checkpoint.path, format: checkpoint.format, kind, tensors, parts, heads, needs })
}

fn kind(checkpoint: &Checkpoint) -> Kind {
    if checkpoint.shape("multi_modal_language_proj.weight").is_some() {
        return Kind::M3ae;
    }
    if clip::is_clip(checkpoint) {
        return Kind::Clip;
    }
    let Some(prefix) = prefix(checkpoint) else { return Kind::Unknown };
    let settings = text_settings(checkpoint).ok().and_then(|settings| settings.family());
    let types = checkpoint.shape(&format!("{prefix}embeddings.token_type_embeddings.weight"));
    // RoBERTa has one token type, BERT two; the settings beside the file know better.
    match (settings, prefix, types.as_deref()) {
        (Some(TextFamily::Roberta), ..) | (None, "roberta.", _) => Kind::Roberta,
        (Some(TextFamily::Bert), ..) | (None, "bert.", _) => Kind::Bert,
        (None, _, Some(&[1, _])) => Kind::Roberta,
        _ => Kind::Bert,
    }
}

fn text_settings(checkpoint: &Checkpoint) -> Result<HfTextConfig, WeightsError> {
    let beside = checkpoint.path.with_file_name(CONFIG_FILE);
    if beside.is_file() {
        return read_settings(&beside);
    }
    let folder = checkpoint.path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("");
    HfTextConfig::well_known(folder)
        .ok_or_else(|| WeightsError::settings(&beside, "the encoder's settings are missing"))
}

fn needs(checkpoint: &Checkpoint, kind: Kind) -> Result<Needs, WeightsError> {
    Ok(match kind {
        Kind::M3ae => Needs::M3ae(Box::new(find_config(checkpoint)?)),
        Kind::Clip => {
            let size = clip::image_size(checkpoint)
                .ok_or_else(|| WeightsError::format(&checkpoint.path, "its position table has no square grid"))?;
            Needs::Vision(clip::infer_clip_config(checkpoint, size)?)
        }
        Kind::Roberta | Kind::Bert => Needs::Text(text::infer_text_config(checkpoint, &text_settings(checkpoint)?)?),
        Kind::Unknown => Needs::Unknown("its tensors are neither M3AE's nor those of CLIP, RoBERTa or BERT".into()),
    })
}

fn part(name: &str, kind: Kind) -> String {
    let first = || name.split('.').next().unwrap_or(name).to_owned();
    match kind {
        Kind::M3ae if ignorable(name).is_some() => "not used".to_owned(),
        Kind::M3ae if name.starts_with("multi_modal_") || name.starts_with("modality_type") => "fusion".to_owned(),
        Kind::Clip if is_vision(name) => "vision".to_owned(),
        Kind::Clip => "text tower and projections".to_owned(),
        Kind::Roberta | Kind::Bert => match name.strip_prefix("roberta.").or(name.strip_prefix("bert.")) {
            Some(rest) => rest.split('.').next().unwrap_or(rest).to_owned(),
            None => first(),
        },
        _ => first(),
    }
}

impl CheckpointInfo {
    /// Number of stored values.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parts.values().fold(0, |sum: usize, &count| sum.saturating_add(count))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::M3ae => "M3AE model",
            Self::Clip => "CLIP",
            Self::Roberta => "RoBERTa",
            Self::Bert => "BERT",
            Self::Unknown => "unknown tensors",
        })
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::M3ae(config) => {
                let M3aeConfig { vision, text, fusion, .. } = config.as_ref();
                match vision {
                    VisionConfig::Clip(clip) => vision_line(f, clip)?,
                    VisionConfig::Swin(swin) => swin_line(f, swin)?,
                }
                text_line(f, text)?;
                let (layers, width, heads) = (fusion.layers, fusion.width, fusion.heads);
                write!(f, "fusion    {layers} layers, width {width}, {heads} heads")
            }
            Self::Vision(vision) => vision_line(f, vision),
            Self::Text(text) => text_line(f, text),
            Self::Unknown(reason) => write!(f, "config    cannot be told: {reason}"),
        }
    }
}

fn vision_line(f: &mut fmt::Formatter<'_>, vision: &ClipVisionConfig) -> fmt::Result {
    let ClipVisionConfig { image_size, patch_size, width, layers } = vision;
    writeln!(f, "vision    {layers} blocks, width {width}, images {image_size}x{image_size}, patches of {patch_size}")
}

fn swin_line(f: &mut fmt::Formatter<'_>, swin: &SwinConfig) -> fmt::Result {
    let SwinConfig { image_size, patch_size, width, depths, window, .. } = swin;
    writeln!(
        f,
        "vision    Swin, {depths:?} blocks, width {width}, windows of {window}, images {image_size}x{image_size}, \
        patches of {patch_size}"
    )
}

fn text_line(f: &mut fmt::Formatter<'_>, text: &TextConfig) -> fmt::Result {
    let TextConfig { family, layers, width, heads, vocab_size, .. } = text;
    writeln!(f, "text      {family:?}, {layers} layers, width {width}, {heads} heads, {vocab_size} tokens")
}

impl fmt::Display for CheckpointInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, format) = (self.kind, self.format);
        writeln!(f, "{}\n{kind}, {format}", self.path.display())?;
        let heads: Vec<String> = self.heads.iter().map(ToString::to_string).collect();
        if self.kind == Kind::M3ae {
            writeln!(f, "heads     {}", if heads.is_empty() { "none".to_owned() } else { heads.join(", ") })?;
        }
        writeln!(f, "{}\n", self.needs.to_string().trim_end())?;
        let width = self.parts.keys().map(String::len).max().unwrap_or(0).max(5);
        for (part, count) in &self.parts {
            writeln!(f, "{part:<width$}  {:>15}", grouped(*count))?;
        }
        writeln!(f, "{:<width$}  {:>15}\n", "total", grouped(self.parameters()))?;
        let width = self.tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or(0).max(6);
        writeln!(f, "{:<width$}  {:<6} shape", "tensor", "type")?;
        for TensorInfo { name, shape, dtype } in &self.tensors {
            let dtype = format!("{dtype:?}");
            writeln!(f, "{name:<width$}  {dtype:<6} {shape:?}")?;
        }
        Ok(())
    }
}

/// 1234567 -> "1 234 567".
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(
            ["0", "999", "1 000", "366 012 345"],
            [0, 999, 1000, 366_012_345].map(grouped).each_ref().map(|s| &s[..])
        );
    }
}
