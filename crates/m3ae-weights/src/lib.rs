//! Weights in and out of the M3AE model.
//!
//! - [`Checkpoint::open`] reads PyTorch (Lightning `.ckpt`, zip and legacy pickles) and safetensors files; nothing in them is
//!   executed, and tensor bytes are read only when used. Safety limits are those of `pytorch-reader` (100 MiB of pickle,
//!   10 GiB per tensor) and of `safetensors` (100 MB of header).
//! - [`load`] applies one to a model, strictly: a missing, unexpected or differently shaped tensor is an error that names it.
//! - [`save`] writes safetensors under the reference implementation's parameter names, so that other tools read them.
//! - [`infer_config`] tells which model a checkpoint holds.
//!
//! ```no_run
//! use burn::prelude::*;
//! use m3ae_weights::{Checkpoint, infer_config, load, read_settings};
//!
//! let checkpoint = Checkpoint::open("m3ae.ckpt".as_ref())?;
//! let settings = read_settings("config.json".as_ref())?;
//! let text = read_settings("roberta-base/config.json".as_ref())?;
//! let mut model = infer_config(&checkpoint, &settings, &text)?.init(&Device::default())?;
//! let report = load(&mut model, &checkpoint)?;
//! println!("{} tensors loaded, {} ignored", report.loaded.len(), report.ignored.len());
//! # Ok::<(), m3ae_weights::WeightsError>(())
//! ```

mod checkpoint;
mod error;
mod export;
mod infer;
mod load;
mod names;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, Format};
pub use error::WeightsError;
pub use export::{save, state_dict};
pub use infer::{HfTextConfig, HyperParameters, infer_config, read_settings};
pub use load::{LoadReport, load};
pub use names::{from_reference, ignorable, to_reference};
