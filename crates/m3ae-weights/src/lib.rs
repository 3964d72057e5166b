//! Reads and writes the weights of the M3AE model: PyTorch and safetensors files, under the names of several
//! publishers.
//!
//! - [`Checkpoint::open`] reads PyTorch (Lightning `.ckpt`, zip and legacy pickles, TorchScript archives) and
//!   safetensors files. Tensor bytes are read only when used, one tensor at a time.
//! - [`load`] applies one to a model, strictly: a missing, unexpected or differently shaped tensor is an error that
//!   names it. [`load_with`] makes the exceptions that fine-tuning needs; [`load_clip`], [`load_swin`] and
//!   [`load_text`] load a published vision or text encoder.
//! - [`find_config`] and [`infer_config`] find the configuration of a checkpoint's model; [`info()`] describes any
//!   file.
//! - [`save`] writes safetensors under the reference implementation's parameter names, so that other tools read them;
//!   [`export_folder`] and [`open_folder`] add configuration, tokenizer and answers.
//! - [`resolve`] finds a model by path or by its name on the Hugging Face hub.
//!
//! # Safety limits
//! Every file may be hostile. Nothing in it is executed: pickles make plain values, and names outside a short list are
//! refused or kept as unreadable. Before any allocation, sizes are checked against these limits:
//!
//! | what | limit |
//! |---|---|
//! | safetensors header | 16 MiB |
//! | pickle in a zip archive | 8 MiB (2 MiB in a TorchScript archive) |
//! | a zip archive's entries, unpacked; all tensors of a file together | 8 × the file's size + 1 MiB |
//! | entries of a zip archive | 100 000 |
//! | settings file | 64 MiB |
//! | sizes that a configuration asks for | those of [`M3aeConfig::validate`](m3ae_model::M3aeConfig::validate) |
//!
//! Shapes and types are checked whole against the model before the first tensor is read.
//!
//! # Example
//!
//! ```
//! use burn::prelude::*;
//! use m3ae_model::M3aeConfig;
//! use m3ae_weights::{Checkpoint, Extras, export_folder, find_config, load};
//!
//! # let place = tempfile::tempdir()?;
//! # let folder = place.path().join("model");
//! let device = Device::default();
//! let config = M3aeConfig::small();
//! export_folder(&config.init(&device)?, &config, &Extras::default(), &folder)?;
//!
//! // A file or a folder of any format; `resolve` also finds models by their names on the Hugging Face hub.
//! let checkpoint = Checkpoint::open(&folder)?;
//! let mut model = find_config(&checkpoint)?.init(&device)?;
//! let report = load(&mut model, &checkpoint)?;
//! assert!(report.ignored.is_empty() && report.kept.is_empty(), "{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The program that uses this crate chooses a backend by a feature of its own `burn` dependency, such as `flex` for the
//! CPU or `wgpu` for a GPU.

mod checkpoint;
mod clip;
mod error;
mod export;
mod folder;
mod format;
mod hub;
mod infer;
mod info;
mod limits;
mod load;
mod locate;
mod names;
mod plan;
mod positions;
mod pytorch;
mod report;
mod safetensors;
mod settings;
mod shapes;
mod sizes;
mod stored;
mod swin;
mod targets;
mod text;
mod torchscript;

pub use burn::store::burn_pack::{Error as LazyTensorError, Tensor as LazyTensor};
pub use checkpoint::Checkpoint;
pub use clip::{infer_clip_config, load_clip};
pub use error::WeightsError;
pub use export::{save, save_tensors, state_dict, write_tensors};
pub use folder::{
    ANSWERS_FILE, CONFIG_FILE, Extras, FolderSettings, ModelFolder, TOKENIZER_FILE, WEIGHTS_FILE, export_folder,
    folder_settings, open_folder, write_folder,
};
pub use format::Format;
pub use hub::resolve;
pub use infer::{find_config, hyper_parameters, infer_config};
pub use info::{CheckpointInfo, Kind, Needs, TensorInfo, info};
pub use load::{LoadOptions, load, load_with};
pub use names::{Head, from_reference, ignorable, to_reference};
pub use report::{LoadReport, Resized};
pub use settings::{HfTextConfig, HyperParameters, read_settings};
pub use sizes::{TextSizes, VisionSizes, text_sizes, vision_sizes};
pub use swin::load_swin;
pub use text::{TextShapes, infer_text_config, load_text};
