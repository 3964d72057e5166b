//! Retrieval: every image with every text. Images and texts are encoded once; each pair costs the fusion alone.
//!
//! Scores are kept in the results' folder as they are computed, a row per image, and an interrupted evaluation of the same model
//! and data goes on where it was.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use burn::prelude::Device;
use indicatif::{ProgressBar, ProgressStyle};
use m3ae::Model;
use m3ae_data::{CaptionSample, ImageSources, read_captions_arrow};
use m3ae_eval::{Evaluation, ScoreMatrix, Scores, retrieval_scores};
use m3ae_image::DecodeOptions;

use super::job::Job;
use super::write;
use crate::files;
use crate::output::say;

/// Images and the texts that belong to them.
struct Candidates<'a> {
    images: Vec<&'a Path>,
    texts: Vec<&'a str>,
    /// The image of each text.
    image_of_text: Vec<usize>,
}

/// Scores a model, prints the table and writes the results. `None` when it was asked to stop.
pub fn run(job: &Job, device: &Device) -> Result<Option<Evaluation>> {
    let path = job.prepared_file(job.split)?;
    let set = read_captions_arrow(&path)?;
    let candidates = candidates(&set.samples, job.candidates);
    ensure!(candidates.images.len() > 1, "{}: retrieval needs more than one image", path.display());
    let opened = job.open(device)?;
    let model = &opened.model;
    let inputs = job.inputs(&opened, &path, &[("candidates", candidates.images.len().to_string())])?;
    let Some(rows) = score(job, model, &candidates)? else { return Ok(None) };

    let matrix =
        ScoreMatrix { scores: &rows.scores, images: candidates.images.len(), image_of_text: &candidates.image_of_text };
    let scores = Scores::Retrieval { scores: retrieval_scores(&matrix, &job.bootstrap)? };
    let mut evaluation = job.record(&opened, device, &path, inputs, scores);
    if model.network().irtr_head.is_none() {
        evaluation.notes.push("Zero-shot: the model is not fine-tuned for retrieval, its matching head ranks.".into());
    }
    evaluation.notes.extend(job.split_note().map(str::to_owned));
    write::print(&evaluation);
    say!("\n{}", rows.speed);
    let texts: Vec<Vec<f32>> = rows.scores.chunks_exact(candidates.texts.len()).map(<[f32]>::to_vec).collect();
    let scores = job.logits.then_some(("scores", texts.as_slice()));
    write::all(&job.out, &evaluation, None, &[], scores, HashMap::new())?;
    fs::remove_file(&rows.partial).with_context(|| rows.partial.display().to_string())?;
    say!("table and report: {}", job.out.display());
    Ok(Some(evaluation))
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
    /// How fast it went, in words.
    speed: String,
}

fn score(job: &Job, model: &Model, candidates: &Candidates<'_>) -> Result<Option<Rows>> {
    let out = job.out.as_path();
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let partial = out.join(format!(".scores-{}.partial", &identity(model, candidates)?.to_hex()[..16]));
    let scored = score_into(&partial, job, model, candidates);
    // Of a model that cannot score a single image, nothing is left.
    if scored.is_err() && fs::metadata(&partial).is_ok_and(|file| file.len() == 0) {
        let _ = fs::remove_file(&partial).and_then(|()| fs::remove_dir(out));
    }
    scored
}

fn score_into(partial: &Path, job: &Job, model: &Model, candidates: &Candidates<'_>) -> Result<Option<Rows>> {
    let Candidates { images, texts, .. } = candidates;
    let (mut file, mut scores) = resume(partial, texts.len())?;
    let done = scores.len() / texts.len();
    if done > 0 {
        say!("{done} of {} images were scored before: going on", images.len());
    }
    let begun = Instant::now();
    let encoded = model.encode_texts(texts)?;
    let sources = ImageSources::default();
    let bar = ProgressBar::new((images.len() * texts.len()) as u64).with_position(scores.len() as u64);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} pairs, {per_sec}, {eta} left")?);
    for batch in images[done.min(images.len())..].chunks(model.batch_size()) {
        let read = |path: &&Path| {
            let image = sources.decode(path, &DecodeOptions::default()).with_context(|| path.display().to_string())?;
            model.crop(&image).with_context(|| path.display().to_string())
        };
        let crops = batch.iter().map(read).collect::<Result<Vec<_>>>()?;
        let encoded_images = model.encode_crops(&crops)?;
        for (row, path) in batch.iter().enumerate() {
            if job.stopped() {
                return Ok(None);
            }
            let row = model.score_image(&encoded_images, row, &encoded).with_context(|| path.display().to_string())?;
            let bytes: Vec<u8> = row.iter().flat_map(|score| score.to_le_bytes()).collect();
            file.write_all(&bytes).with_context(|| partial.display().to_string())?;
            scores.extend(row);
            bar.inc(texts.len() as u64);
        }
    }
    bar.finish_and_clear();
    let pairs = (images.len() - done.min(images.len())) * texts.len();
    let seconds = begun.elapsed().as_secs_f64();
    let speed = format!(
        "{pairs} pairs in {seconds:.2} s: {:.1} pairs/s, each image and text encoded once",
        pairs as f64 / seconds.max(f64::MIN_POSITIVE)
    );
    Ok(Some(Rows { scores, partial: partial.to_owned(), speed }))
}

/// What the scores follow from: weights, texts, images and settings.
fn identity(model: &Model, candidates: &Candidates<'_>) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(files::hash(model.path())?.as_bytes());
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
            hasher.update(files::hash(file)?.as_bytes());
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
fn resume(path: &Path, texts: usize) -> Result<(File, Vec<f32>)> {
    let name = || path.display().to_string();
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = file.with_context(name)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(name)?;
    bytes.truncate(bytes.len() - bytes.len() % (4 * texts));
    // What an interrupted process left of a row is written again.
    file.set_len(bytes.len() as u64).with_context(name)?;
    file.seek(SeekFrom::End(0)).with_context(name)?;
    let scores: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    if scores.iter().any(|score| !score.is_finite()) {
        bail!("{}: damaged; remove it", path.display());
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
