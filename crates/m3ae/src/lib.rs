//! Opens a trained M3AE model and asks it: answers to questions about images, matches between images and texts,
//! features.
//!
//! # Example
//!
//! ```
//! use burn::prelude::Device;
//! use m3ae::{Image, Model};
//! use m3ae_image::Layout;
//! # use m3ae_model::M3aeConfig;
//! # use m3ae_text::Tokenizer;
//! # use m3ae_weights::{Extras, export_folder};
//!
//! # let place = tempfile::tempdir()?;
//! # let tokenizer = Tokenizer::train(["is there an effusion"], 300)?;
//! # tokenizer.save(place.path())?;
//! # let mut config = M3aeConfig::small();
//! # config.text.vocab_size = tokenizer.vocab_size();
//! # config.heads.vqa = Some(2);
//! # let extras = Extras {
//! #     tokenizer: Some(place.path().to_owned()),
//! #     answers: Some(vec!["yes".to_owned(), "no".to_owned()]),
//! #     max_length: None,
//! # };
//! # export_folder(&config.init(&Device::default())?, &config, &extras, &place.path().join("model"))?;
//! # let path = place.path().join("model");
//! # let path = path.to_str().ok_or("a path of another encoding")?;
//! // A model folder, the folder of a run, a `.ckpt` of the published code, or a name in the Hugging Face cache.
//! let model = Model::open(path, &Device::default())?;
//! // `open_image` reads one from a file.
//! let image = Image::new(64, 64, Layout::Grey, vec![90; 64 * 64]).ok_or("no pixels")?;
//! let answers = model.answer(&image, "Is there an effusion?", 2)?;
//! for answer in &answers.top {
//!     println!("{:5.1} %  {}", 100.0 * answer.probability, answer.answer);
//! }
//! assert_eq!(answers.top.len(), 2);
//!
//! // Many questions about one image: the image is encoded once.
//! let images = model.encode_images(&[image])?;
//! let answers = model.answer_encoded(&images, &[(0, "Which plane is this?"), (0, "Is the heart enlarged?")], 1)?;
//! // How well do these texts match the image?
//! let matches = model.match_scores(&images, &[(0, "Chest x-ray without findings."), (0, "MRI of the knee.")])?;
//! # assert_eq!((answers.len(), matches.len()), (2, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which Burn feature to choose
//!
//! This crate turns on no backend by itself. Turn on its feature `flex` for the CPU. For a GPU, turn on `wgpu`,
//! `vulkan` or `cuda` of your own dependency `burn = "=0.22.1"`. `Device::default()` is then a device of that backend.
//!
//! # Details
//!
//! A [`Model`] is [`Send`] and [`Sync`]: threads share one. Images are [`Image`]s, decoded within limits by
//! [`open_image`] or [`read_image`] from PNG and JPEG files of any kind. The reference's `.ckpt` files have neither
//! tokenizer nor answers: [`OpenOptions`] gives them.
//!
//! | task | function | result |
//! |---|---|---|
//! | question answering | [`Model::answer`], [`Model::answer_batch`], [`Model::answer_encoded`] | the k best answers |
//! | matching | [`Model::match_score`], [`Model::match_scores`] | a score to rank by, and a probability |
//! | features | [`Model::embed_image`], [`Model::embed_text`], [`Model::embed_pair`] | `[Dv]`, `[Dt]`, `[2D]` |
//! | many pairs | [`Model::encode_texts`], [`Model::score_image`] | a score for every text |
//! | masked patches and words | [`Model::reconstruct`], [`Model::fill_masks`] | pictures; words |
//! | attention | [`Model::attention`], [`draw`] | a weight per patch; a picture |
//!
//! Not a medical device: for research only.

mod answer;
mod attention;
mod error;
mod features;
mod model;
mod open;
mod pairs;
mod reconstruct;

use std::path::Path;

use m3ae_image::{DecodeOptions, decode, decode_bytes};

pub use answer::{Answer, Answers, top_answers};
pub use attention::{AttentionMap, draw};
pub use error::ModelError;
pub use features::MatchScore;
pub use m3ae_image::{Crop, Image};
pub use m3ae_text::Tokenizer;
pub use model::{EncodedImages, Model};
pub use open::OpenOptions;
pub use pairs::EncodedTexts;
pub use reconstruct::Filling;

/// Reads an image file, PNG or JPEG by its content, of at most 64 Mi pixels and 512 MiB.
///
/// # Errors
/// The file cannot be read, is of another format, is cut off or damaged, or exceeds the limits.
pub fn open_image(path: &Path) -> Result<Image, ModelError> {
    decode(path, &DecodeOptions::default()).map_err(|source| ModelError::Image { path: path.to_owned(), source })
}

/// Reads an image from the bytes of a file; errors call it `name`. The limits are those of [`open_image`].
///
/// # Errors
/// As [`open_image`].
pub fn read_image(bytes: &[u8], name: &Path) -> Result<Image, ModelError> {
    decode_bytes(bytes, &DecodeOptions::default()).map_err(|source| ModelError::Image { path: name.to_owned(), source })
}
