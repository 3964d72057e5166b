//! The synthetic data set that everything runs on where there is no other: made once, on first use.
//!
//! ```text
//! <folder>/roco/, vqa_rad/, truth.jsonl, phantom.json    as crate m3ae-phantom writes them
//!         /tokenizer/tokenizer.json                      a byte-level BPE trained on the train split's texts
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use m3ae_phantom::{PhantomConfig, generate, is_complete};
use m3ae_text::Tokenizer;

use crate::{PrepareError, read_roco};

/// The trained vocabulary's size: the phantoms speak a few hundred words, and each becomes a token or two.
const VOCABULARY: usize = 1500;

/// Where the synthetic data set lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhantomSet {
    /// Captioned images in ROCO's layout, for [`read_roco`].
    pub roco: PathBuf,
    /// Questions in VQA-RAD's layout.
    pub vqa_rad: PathBuf,
    /// The tokenizer's folder, for [`Tokenizer::load`].
    pub tokenizer: PathBuf,
    /// Whether images were made by this call.
    pub generated: bool,
}

/// Makes the data set of `config` in `folder`, and the tokenizer, unless they are there. The same configuration gives
/// the same bytes everywhere.
///
/// # Errors
/// When the folder holds something else or the set of another configuration, which is never overwritten; when the
/// configuration is impossible; or when writing fails.
pub fn ensure(folder: &Path, config: &PhantomConfig) -> Result<PhantomSet, PrepareError> {
    let complete = is_complete(config, folder)?;
    if !complete {
        if folder.join("phantom.json").exists() {
            return Err(PrepareError::OtherPhantom { path: folder.to_owned() });
        }
        let report = generate(config, folder)?;
        tracing::info!(folder = %folder.display(), images = report.captioned_images + report.vqa_images,
            captions = report.captions, questions = report.questions, "made the synthetic data set");
    }
    let set = PhantomSet {
        roco: folder.join("roco"),
        vqa_rad: folder.join("vqa_rad"),
        tokenizer: folder.join("tokenizer"),
        generated: !complete,
    };
    if !set.tokenizer.join("tokenizer.json").is_file() {
        let captions = read_roco(&set.roco, "train")?.samples.into_iter().map(|sample| sample.caption);
        let texts: Vec<String> = captions.chain(questions(&set.vqa_rad.join("trainset.json"))?).collect();
        Tokenizer::train(texts.iter().map(String::as_str), VOCABULARY)?.save(&set.tokenizer)?;
    }
    Ok(set)
}

/// The questions of a file in VQA-RAD's layout: an array of records with a `question` each.
fn questions(path: &Path) -> Result<Vec<String>, PrepareError> {
    let bytes = fs::read(path).map_err(PrepareError::read(path))?;
    let records: Vec<serde_json::Value> = serde_json::from_slice(&bytes)
        .map_err(|error| PrepareError::format(path, format!("not an array of records: {error}")))?;
    Ok(records.iter().filter_map(|record| record["question"].as_str()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use m3ae_data::{Loader, LoaderConfig};

    use super::*;

    fn config() -> PhantomConfig {
        PhantomConfig {
            side: 32,
            train: 6,
            val: 1,
            test: 1,
            vqa_train: 2,
            vqa_val: 1,
            vqa_test: 1,
            ..Default::default()
        }
    }

    #[test]
    fn the_set_is_made_once_and_the_tokenizer_belongs_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("made/phantom");
        let set = ensure(&folder, &config()).unwrap();
        assert!(set.generated);
        let hash = Tokenizer::load(&set.tokenizer).unwrap().hash();
        assert_eq!(ensure(&folder, &config()).unwrap(), PhantomSet { generated: false, ..set.clone() });
        // A lost tokenizer comes back the same, from the same texts.
        fs::remove_dir_all(&set.tokenizer).unwrap();
        ensure(&folder, &config()).unwrap();
        assert_eq!(Tokenizer::load(&set.tokenizer).unwrap().hash(), hash);
    }

    #[test]
    fn it_loads_without_a_single_skip() {
        let parent = tempfile::tempdir().unwrap();
        let set = ensure(&parent.path().join("phantom"), &config()).unwrap();
        let captions = read_roco(&set.roco, "train").unwrap();
        assert_eq!((captions.samples.len(), captions.skipped.len()), (6, 0));
        let tokenizer = Tokenizer::load(&set.tokenizer).unwrap();
        let config = LoaderConfig { batch_size: 4, side: 32, drop_last: false, ..LoaderConfig::default() };
        let loader = Loader::new(&captions.samples, &tokenizer, &config).unwrap();
        let batches: Vec<_> = loader.epoch(0, 0).collect::<Result<_, _>>().unwrap();
        assert_eq!(
            batches.iter().map(|batch| (batch.len(), batch.skipped.len())).collect::<Vec<_>>(),
            [(4, 0), (2, 0)]
        );
        assert_eq!(loader.truncated(), 0);
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("phantom");
        ensure(&folder, &config()).unwrap();
        let other = PhantomConfig { seed: 1, ..config() };
        assert!(matches!(ensure(&folder, &other), Err(PrepareError::OtherPhantom { path }) if path == folder));
        assert!(ensure(&folder, &config()).is_ok());

        let foreign = parent.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis.txt"), "precious").unwrap();
        assert!(matches!(ensure(&foreign, &config()), Err(PrepareError::Phantom(_))));
        assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
    }

    #[test]
    fn broken_questions_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trainset.json");
        fs::write(&path, r#"[{"question": "Is it?"}, {"qid": 2}"#).unwrap();
        assert!(questions(&path).unwrap_err().to_string().contains("trainset.json"));
        fs::write(&path, r#"[{"question": "Is it?"}, {"qid": 2}]"#).unwrap();
        assert_eq!(questions(&path).unwrap(), ["Is it?"]);
    }
}
