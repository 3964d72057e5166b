//! Synthetic radiology images with captions, questions and known truth, in the layouts of the real data sets.
//!
//! Three schematic studies (axial head CT, PA chest X-ray, axial abdominal CT), sixteen kinds of findings that vary in
//! side, region, size and density, and normal images. Everything about an image follows from a seed and the image's id:
//! a [`Truth`] is drawn from them, and [`render`], [`captions`] and [`questions`] are functions of the truth. Adding
//! images never changes others, and the bytes are the same on every machine and for every number of processors.
//!
//! Images follow the radiological convention: **the patient's left is at the image's right**, and "left" always means
//! the patient's.
//!
//! ```
//! use m3ae_phantom::{Truth, captions, questions, render};
//!
//! let truth = Truth::draw(7, "an-image");
//! let image = render(&truth, 96)?;
//! assert_eq!(image.dimensions(), (96, 96));
//! println!("{}", captions(&truth, 1)[0]);
//! for question in questions(&truth) {
//!     println!("{} {}", question.question, question.answer);
//! }
//! # Ok::<(), m3ae_phantom::PhantomError>(())
//! ```
//!
//! # On disk
//! [`generate`] writes a [`PhantomConfig`]'s data set:
//! ```text
//! <out>/roco/{train,val,test}/radiology/captions.txt      one `id<TAB>caption` line per caption, UTF-8
//!                                      /images/<id>.jpg   grey JPEG of quality 95
//! <out>/vqa_rad/{trainset,valset,testset}.json            records with the keys of VQA-RAD; `qid` counts from 1 over
//!                                                         all three files
//! <out>/vqa_rad/images/<id>.jpg                           other images than ROCO's: no pre-training run has seen them
//! <out>/truth.jsonl                                       one `Truth` per image of either data set
//! <out>/phantom.json                                      format version and config, written last (see `is_complete`)
//! ```
//! Ids are `phantom-<split>-<number>` and `phantom-vqa-<split>-<number>`, numbered from 00001 within a split. Splits
//! share no image.
//!
//! # What it is not
//! The images are drawings. A model that reads them has learned to read drawings: results on them say that a training
//! run works, and nothing about patients.

mod anatomy;
mod canvas;
mod captions;
mod config;
mod error;
mod finding;
mod language;
mod layout;
mod questions;
mod sampling;
mod shapes;
mod truth;
mod write;

pub use anatomy::{VISIBLE_DIFFERENCE, finding_mask, render};
pub use captions::captions;
pub use config::{MAX_CAPTIONS_PER_IMAGE, MAX_IMAGES_PER_SPLIT, MAX_SIDE, MIN_SIDE, PhantomConfig};
pub use error::PhantomError;
pub use finding::{Density, FindingKind, Profile, Region, Side, Size, Study};
pub use layout::{FORMAT_VERSION, is_complete};
pub use questions::{AnswerType, Question, questions};
pub use truth::{Anatomy, Finding, NORMAL_SHARE, Truth};
pub use write::{PhantomReport, generate};

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a, 64 bits.
    fn checksum(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    #[test]
    fn pixels_and_texts_of_a_seed_never_change_without_a_new_format_version() {
        let (mut pixels, mut texts) = (Vec::new(), String::new());
        for i in 0..40 {
            let truth = Truth::draw(1, &format!("image-{i}"));
            pixels.extend(render(&truth, 64).unwrap().into_raw());
            texts += &format!("{:?} {:?}", captions(&truth, 2), questions(&truth));
        }
        // Recorded from version 1. Where they must change, raise FORMAT_VERSION and record them anew.
        assert_eq!((FORMAT_VERSION, checksum(pixels), checksum(texts.into_bytes())), RECORDED);
    }
    const RECORDED: (u32, u64, u64) = (1, 1_338_298_492_660_001_077, 3_284_860_165_422_035_631);
}
