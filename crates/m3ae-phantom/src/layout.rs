//! Where everything of a data set lies, and what its records look like.

use std::{fs, path::Path};

use serde::Serialize;

use crate::{
    config::PhantomConfig,
    error::PhantomError,
    finding::Study,
    questions::{AnswerType, Question},
    truth::Truth,
};

/// The version of the folder's layout and of the drawing: it grows whenever the same configuration would give other
/// bytes.
pub const FORMAT_VERSION: u32 = 1;
/// The file with one truth per line.
pub(crate) const TRUTHS: &str = "truth.jsonl";
/// The file with the configuration.
const MANIFEST: &str = "phantom.json";

/// One split of one of the two data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    Train,
    Val,
    Test,
    VqaTrain,
    VqaVal,
    VqaTest,
}

impl Folder {
    pub const ALL: [Self; 6] = [Self::Train, Self::Val, Self::Test, Self::VqaTrain, Self::VqaVal, Self::VqaTest];

    pub fn is_vqa(self) -> bool {
        matches!(self, Self::VqaTrain | Self::VqaVal | Self::VqaTest)
    }

    /// The folder of its images. The splits of VQA-RAD share one.
    pub fn images(self) -> &'static str {
        match self {
            Self::Train => "roco/train/radiology/images",
            Self::Val => "roco/val/radiology/images",
            Self::Test => "roco/test/radiology/images",
            Self::VqaTrain | Self::VqaVal | Self::VqaTest => "vqa_rad/images",
        }
    }

    /// The file of its captions or questions.
    pub fn texts(self) -> &'static str {
        match self {
            Self::Train => "roco/train/radiology/captions.txt",
            Self::Val => "roco/val/radiology/captions.txt",
            Self::Test => "roco/test/radiology/captions.txt",
            Self::VqaTrain => "vqa_rad/trainset.json",
            Self::VqaVal => "vqa_rad/valset.json",
            Self::VqaTest => "vqa_rad/testset.json",
        }
    }

    /// The beginning of its images' ids.
    fn prefix(self) -> &'static str {
        match self {
            Self::Train => "phantom-train",
            Self::Val => "phantom-val",
            Self::Test => "phantom-test",
            Self::VqaTrain => "phantom-vqa-train",
            Self::VqaVal => "phantom-vqa-val",
            Self::VqaTest => "phantom-vqa-test",
        }
    }

    fn count(self, config: &PhantomConfig) -> usize {
        match self {
            Self::Train => config.train,
            Self::Val => config.val,
            Self::Test => config.test,
            Self::VqaTrain => config.vqa_train,
            Self::VqaVal => config.vqa_val,
            Self::VqaTest => config.vqa_test,
        }
    }
}

/// An image to make.
pub(crate) struct Job {
    pub folder: Folder,
    pub id: String,
}

/// Every image of a data set, split after split. An id is the image's number within its split, so that it does not
/// depend on how many images there are.
pub(crate) fn jobs(config: &PhantomConfig) -> Vec<Job> {
    let of = |folder: Folder| {
        (1..=folder.count(config)).map(move |i| Job { folder, id: format!("{}-{i:05}", folder.prefix()) })
    };
    Folder::ALL.into_iter().flat_map(of).collect()
}

/// A record of VQA-RAD, its keys in the original's order.
#[derive(Serialize)]
pub(crate) struct VqaRecord<'a> {
    qid: usize,
    image_name: String,
    image_organ: &'static str,
    answer: &'a str,
    answer_type: AnswerType,
    question_type: &'a str,
    question: &'a str,
    phrase_type: &'a str,
}

pub(crate) fn vqa_record<'a>(qid: usize, truth: &Truth, question: &'a Question) -> VqaRecord<'a> {
    VqaRecord {
        qid,
        image_name: format!("{}.jpg", truth.id),
        image_organ: match truth.study {
            Study::HeadCt => "HEAD",
            Study::ChestXray => "CHEST",
            Study::AbdomenCt => "ABD",
        },
        answer: &question.answer,
        answer_type: question.answer_type,
        question_type: &question.question_type,
        question: &question.question,
        phrase_type: &question.phrase_type,
    }
}

/// Whether `folder` holds the complete data set of exactly this `config`, made by this version: its `phantom.json`,
/// which is written last, is the one that [`generate`](crate::generate) would write.
///
/// # Errors
/// [`PhantomError::Io`] where there is such a file but it cannot be read; a missing file is a plain "no".
pub fn is_complete(config: &PhantomConfig, folder: &Path) -> Result<bool, PhantomError> {
    let path = folder.join(MANIFEST);
    match fs::read(&path) {
        Ok(bytes) => Ok(bytes == manifest(config, &path)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(PhantomError::io("read", &path)(error)),
    }
}

pub(crate) fn write_manifest(config: &PhantomConfig, root: &Path) -> Result<(), PhantomError> {
    let path = root.join(MANIFEST);
    fs::write(&path, manifest(config, &path)?).map_err(PhantomError::io("write", &path))
}

fn manifest(config: &PhantomConfig, path: &Path) -> Result<Vec<u8>, PhantomError> {
    #[derive(Serialize)]
    struct Manifest<'a> {
        format_version: u32,
        config: &'a PhantomConfig,
    }
    let manifest = Manifest { format_version: FORMAT_VERSION, config };
    let mut bytes = serde_json::to_vec_pretty(&manifest)
        .map_err(|source| PhantomError::Json { path: path.to_path_buf(), source })?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), PhantomError> {
    let bytes = serde_json::to_vec(value).map_err(|source| PhantomError::Json { path: path.to_path_buf(), source })?;
    fs::write(path, bytes).map_err(PhantomError::io("write", path))
}
