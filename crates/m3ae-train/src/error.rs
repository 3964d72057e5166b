//! Why a run did not start or did not go on.

use std::path::{Path, PathBuf};

use m3ae_files::FilesError;
use thiserror::Error;

use crate::checkpoint::CheckpointError;
use crate::recipe::RunConfigError;

/// The model lacks a head that the task needs.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the model has no {0} head, which this task needs: choose a model that has it, or another task")]
pub struct MissingHead(pub &'static str);

/// A head of the model, if it is there.
pub(crate) fn required<'a, T>(head: Option<&'a T>, name: &'static str) -> Result<&'a T, MissingHead> {
    head.ok_or(MissingHead(name))
}

/// Why a run's folder cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunFolderError {
    /// A file or folder cannot be read, written or removed.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A line that JSON cannot hold: a defect of this program.
    #[error("{path}: {source} (this is a defect of this program: please report it)")]
    Json {
        /// The file that was to be written.
        path: PathBuf,
        /// What the serialiser said.
        source: serde_json::Error,
    },
    /// Another process trains in the folder.
    #[error("{path}: another process is training in this folder; wait for it, or choose another name")]
    Locked {
        /// The run's folder.
        path: PathBuf,
    },
    /// The folder is there already.
    #[error("{path} already holds a run; resume it, choose another run.name, or overwrite it")]
    Exists {
        /// The run's folder.
        path: PathBuf,
    },
    /// The folder holds something, and no run.
    #[error("{path} already holds files, which are not a run's and are not overwritten; choose another run.name")]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
}

/// Why a run did not start or did not go on.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The recipe.
    #[error(transparent)]
    Config(#[from] RunConfigError),
    /// What a key of the recipe names cannot be used.
    #[error("{key}: {error}")]
    Key {
        /// The key.
        key: &'static str,
        /// What is wrong.
        error: Box<TrainError>,
    },
    /// A prepared file of a set that the recipe names.
    #[error("data.sets: {path}, a prepared file of {set} in the folder data.prepared, is missing")]
    NotPrepared {
        /// The set.
        set: String,
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint of the run.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The run's folder.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The data set.
    #[error(transparent)]
    Data(#[from] m3ae_data::DataError),
    /// The tokenizer.
    #[error(transparent)]
    Text(#[from] m3ae_text::TextError),
    /// Model sizes that cannot be built.
    #[error(transparent)]
    Model(#[from] m3ae_model::ConfigError),
    /// Weights that cannot be read or written.
    #[error(transparent)]
    Weights(#[from] m3ae_weights::WeightsError),
    /// A head that pre-training needs.
    #[error(transparent)]
    Head(#[from] MissingHead),
    /// Patch masking.
    #[error("masking.image_ratio: {0}")]
    PatchMask(#[from] m3ae_masking::PatchMaskError),
    /// No patch would be removed: masked image modelling has nothing to predict.
    #[error(
        "masking.image_ratio: {ratio} removes none of an image's {patches} patches, and masked image modelling predicts removed \
         ones; raise it, or leave this objective out with objectives.mim = 0"
    )]
    NothingRemoved {
        /// The ratio.
        ratio: f64,
        /// Patches of an image.
        patches: usize,
    },
    /// All objectives have weight 0.
    #[error("objectives: mlm, mim and itm are all 0, so there is nothing to train; give one of them a weight")]
    NoObjective,
    /// Token masking.
    #[error("masking: {0}")]
    TextMask(#[from] m3ae_masking::TextMaskError),
    /// The tokenizer's special tokens do not fit its vocabulary.
    #[error("the tokenizer cannot be used for masked language modelling: {0}")]
    Vocabulary(#[from] m3ae_masking::VocabularyError),
    /// A value could not be read back from the device.
    #[error("reading from the device failed: {0}")]
    Device(#[from] burn::tensor::TensorReadError),
    /// A file or folder of the run.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder of the run could not be written, read or locked.
    #[error(transparent)]
    Files(#[from] m3ae_files::FilesError),
    /// The picture of reconstructions.
    #[error("{path}: {source}")]
    Picture {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// Preparing the synthetic set's questions.
    #[error(transparent)]
    Prepare(#[from] m3ae_prepare::PrepareError),
    /// A loaded sample that the task has no label for: a defect of this program.
    #[error("sample {id} has no label (this is a defect of the task: please report it)")]
    UnknownSample {
        /// The sample.
        id: String,
    },
    /// A batch without false texts: a defect of this program.
    #[error("the batch has no false texts (this is a defect of the loader's configuration: please report it)")]
    NoFalseTexts,
    /// No device to train on.
    #[error("there is no device to train on")]
    NoDevice,
    /// `train.all_reduce` asks for what the backend cannot do.
    #[error(
        "train.all_reduce = \"collective\": this backend cannot sum over its {devices} devices by itself; only cuda can, where NCCL is \
         installed so that `libnccl.so` can be loaded (that very name: the library's -dev package, or a link to libnccl.so.2). Take \
         \"copy\", or \"auto\" for collectives wherever there are any"
    )]
    NoCollectives {
        /// How many.
        devices: usize,
    },
    /// The backend's collectives miscalculate.
    #[error(
        "the backend's sum over {devices} devices gave {found} where {expected} is right: see what NCCL_DEBUG=INFO says, or set \
         train.all_reduce = \"copy\""
    )]
    WrongCollective {
        /// How many.
        devices: usize,
        /// What the sum is.
        expected: f32,
        /// What came out.
        found: f32,
    },
    /// A device's thread ended with a panic.
    #[error(
        "computing on one of the devices failed because of a defect of this program or its backend: please report it"
    )]
    DevicePanicked,
    /// Fewer samples than one batch.
    #[error("{split} has {samples} usable samples, fewer than train.batch_size = {batch_size}; lower it or add data")]
    TooFewSamples {
        /// Which split.
        split: &'static str,
        /// Usable samples.
        samples: usize,
        /// Batch size.
        batch_size: usize,
    },
    /// Too much of the data could not be used.
    #[error(
        "{skipped} of {total} samples could not be used, more than data.max_skipped_share = {allowed} allows; the first: {first}. \
         All are listed in {list}"
    )]
    TooManySkipped {
        /// Samples left out.
        skipped: usize,
        /// Samples met so far.
        total: usize,
        /// The configured share.
        allowed: f64,
        /// The first one, with its reason.
        first: String,
        /// The file with all of them.
        list: PathBuf,
    },
    /// A loss or gradient is NaN or infinite.
    #[error(
        "step {step}: the {what} is {value}; nothing was updated. Samples: {}. Lower train.learning_rate, or look at these samples",
        samples.join(", ")
    )]
    NonFinite {
        /// Optimiser step, from 0.
        step: usize,
        /// Which number.
        what: String,
        /// Its value.
        value: f64,
        /// Ids of the samples in the step.
        samples: Vec<String>,
    },
}

impl TrainError {
    /// An error about what a key of the recipe names.
    pub(crate) fn of_key<E: Into<Self>>(key: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Key { key, error: Box::new(error.into()) }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
