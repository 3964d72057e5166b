//! Retrieval: every image with every text. Images and texts are encoded once; each pair costs the fusion alone.
//!
//! Scores are kept in the results' folder as they are computed, a row per image, and an interrupted evaluation of the
//! same model and data continues where it stopped.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use burn::prelude::Device;
use m3ae::Model;
use m3ae_data::{CaptionSample, ImageSources, read_captions_arrow};
use m3ae_eval::{ScoreMatrix, Scores, retrieval_scores};
use m3ae_files::hash_file;
use m3ae_image::DecodeOptions;

use crate::error::BenchmarkError;
use crate::event::{Event, Observer};
use crate::job::{Job, stopped};
use crate::results::{Results, Throughput};

/// Images and the texts that belong to them.
struct Candidates<'a> {
    images: Vec<&'a Path>,
    texts: Vec<&'a str>,
    /// The image of each text.
    image_of_text: Vec<usize>,
}

/// Scores every image of a split with every text. `None` if it was asked to stop.
pub(crate) fn evaluate(
    job: &Job,
    device: &Device,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Results>, BenchmarkError> {
    let path = job.prepared_file(job.split, observer)?;
    let set = read_captions_arrow(&path)?;
    let candidates = candidates(&set.samples, job.candidates);
    if candidates.images.len() < 2 {
        return Err(BenchmarkError::Empty { path, problem: "retrieval needs more than one image" });
    }
    let opened = job.open(device, observer)?;
    let model = &opened.model;
    let inputs = job.inputs(&opened, &path, &[("candidates", candidates.images.len().to_string())])?;
    let Some(rows) = score(job, model, &candidates, stop, observer)? else { return Ok(None) };

    let matrix =
        ScoreMatrix { scores: &rows.scores, images: candidates.images.len(), image_of_text: &candidates.image_of_text };
    let scores = Scores::Retrieval { scores: retrieval_scores(&matrix, &job.bootstrap)? };
    let mut evaluation = job.record(&opened, &path, inputs, scores);
    if model.network().irtr_head.is_none() {
        evaluation.notes.push("Zero-shot: the model is not fine-tuned for retrieval, its matching head ranks.".into());
    }
    evaluation.notes.extend(job.split_note().map(str::to_owned));
    let texts: Vec<Vec<f32>> = rows.scores.chunks_exact(candidates.texts.len()).map(<[f32]>::to_vec).collect();
    Ok(Some(Results {
        evaluation,
        predictions: None,
        cases: Vec::new(),
        matrix: job.logits.then_some(("scores", texts)),
        metadata: HashMap::new(),
        throughput: Throughput { items: rows.pairs, unit: "pairs", images: candidates.images.len(), took: rows.took },
        partial: Some(rows.partial),
    }))
}

/// The first `most` images with their texts.
fn candidates(samples: &[CaptionSample], most: Option<usize>) -> Candidates<'_> {
    let mut numbers: HashMap<&Path, usize> = HashMap::new();
    let mut found = Candidates { images: Vec::new(), texts: Vec::new(), image_of_text: Vec::new() };
    for sample in samples {
        let next = found.images.len();
        let image = match numbers.get(sample.image.as_path()) {
            Some(&image) => image,
            None if next >= most.unwrap_or(usize::MAX) => continue,
            None => {
                numbers.insert(&sample.image, next);
                found.images.push(&sample.image);
                next
            }
        };
        found.texts.push(&sample.caption);
        found.image_of_text.push(image);
    }
    found
}

/// All scores, row by row.
struct Rows {
    /// `[images, texts]`
    scores: Vec<f32>,
    /// The file they were kept in.
    partial: PathBuf,
    /// Pairs that were scored now.
    pairs: usize,
    /// In this time.
    took: Duration,
}

fn score(
    job: &Job,
    model: &Model,
    candidates: &Candidates<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Rows>, BenchmarkError> {
    let out = job.out.as_path();
    fs::create_dir_all(out).map_err(BenchmarkError::io(out))?;
    let partial = out.join(format!(".scores-{}.partial", &identity(model, candidates)?.to_hex()[..16]));
    let scored = score_into(&partial, model, candidates, stop, observer);
    // A model that cannot score a single image leaves nothing behind.
    if scored.is_err() && fs::metadata(&partial).is_ok_and(|file| file.len() == 0) {
        let _ = fs::remove_file(&partial).and_then(|()| fs::remove_dir(out));
    }
    scored
}

fn score_into(
    partial: &Path,
    model: &Model,
    candidates: &Candidates<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Rows>, BenchmarkError> {
    let Candidates { images, texts, .. } = candidates;
    let (mut file, mut scores) = resume(partial, texts.len())?;
    let done = (scores.len() / texts.len()).min(images.len());
    let begun = Instant::now();
    let encoded = model.encode_texts(texts)?;
    let sources = ImageSources::default();
    let total = (images.len() * texts.len()) as u64;
    observer(Event::Begin { total, done: scores.len() as u64, unit: "pairs" });
    for batch in images[done..].chunks(model.batch_size()) {
        let read = |path: &&Path| {
            let place = || path.display().to_string();
            let image = sources
                .decode(path, &DecodeOptions::default())
                .map_err(|source| BenchmarkError::Image { place: place(), source })?;
            model.crop(&image).map_err(BenchmarkError::at(place))
        };
        let crops = batch.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let encoded_images = model.encode_crops(&crops)?;
        for (row, path) in batch.iter().enumerate() {
            if stopped(stop) {
                observer(Event::End);
                return Ok(None);
            }
            let row = model
                .score_image(&encoded_images, row, &encoded)
                .map_err(BenchmarkError::at(|| path.display().to_string()))?;
            let bytes: Vec<u8> = row.iter().flat_map(|score| score.to_le_bytes()).collect();
            file.write_all(&bytes).map_err(BenchmarkError::io(partial))?;
            scores.extend(row);
            observer(Event::Advance(texts.len() as u64));
        }
    }
    observer(Event::End);
    let pairs = (images.len() - done) * texts.len();
    Ok(Some(Rows { scores, partial: partial.to_owned(), pairs, took: begun.elapsed() }))
}

/// Identifies what the scores follow from: weights, texts, images and settings.
fn identity(model: &Model, candidates: &Candidates<'_>) -> Result<blake3::Hash, BenchmarkError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(hash_file(model.path())?.blake3.as_bytes());
    hasher.update(model.tokenizer().hash().as_bytes());
    let sizes = [model.config().vision.image_size(), model.max_length(), candidates.images.len()];
    sizes.iter().for_each(|&size| {
        hasher.update(&(size as u64).to_le_bytes());
    });
    // A prepared file's rows are named by it: its content stands for all images in it.
    let mut hashed: HashMap<&Path, ()> = HashMap::new();
    for path in &candidates.images {
        let file = path.parent().filter(|file| file.is_file()).unwrap_or(path);
        if hashed.insert(file, ()).is_none() {
            hasher.update(hash_file(file)?.blake3.as_bytes());
        }
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    }
    for text in &candidates.texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    Ok(hasher.finalize())
}

/// Opens the file of rows, with the whole ones that are in it.
fn resume(path: &Path, texts: usize) -> Result<(File, Vec<f32>), BenchmarkError> {
    let io = || BenchmarkError::io(path);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = file.map_err(io())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io())?;
    bytes.truncate(bytes.len() - bytes.len() % (4 * texts));
    // What an interrupted process left of a row is written again.
    file.set_len(bytes.len() as u64).map_err(io())?;
    file.seek(SeekFrom::End(0)).map_err(io())?;
    let scores: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    if scores.iter().any(|score| !score.is_finite()) {
        let problem = "a score is not finite".to_owned();
        return Err(BenchmarkError::Damaged { path: path.to_owned(), problem });
    }
    Ok((file, scores))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_the_first_images_with_all_their_texts() {
        let sample = |image: &str, caption: &str| CaptionSample {
            id: String::new(),
            image: image.into(),
            caption: caption.into(),
        };
        let samples = [sample("a", "1"), sample("b", "2"), sample("c", "3"), sample("a", "4")];
        let found = candidates(&samples, Some(2));
        assert_eq!(
            (found.images.len(), &found.texts[..], &found.image_of_text[..]),
            (2, &["1", "2", "4"][..], &[0, 1, 0][..])
        );
        assert_eq!(candidates(&samples, None).texts.len(), 4);
    }

    #[test]
    fn half_a_row_is_forgotten_and_whole_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let row: Vec<u8> = [1.5_f32, -2.0, 0.25].iter().flat_map(|score| score.to_le_bytes()).collect();
        fs::write(&path, [&row[..], &row[..], &row[..5]].concat()).unwrap();
        let (mut file, scores) = resume(&path, 3).unwrap();
        assert_eq!(scores, [1.5, -2.0, 0.25, 1.5, -2.0, 0.25]);
        file.write_all(&row).unwrap();
        drop(file);
        assert_eq!(resume(&path, 3).unwrap().1.len(), 9);
        fs::write(&path, f32::NAN.to_le_bytes()).unwrap();
        assert!(resume(&path, 1).is_err());
    }
}
