//! `m3ae retrieve`: finds images for a text, texts for an image, or images similar to an image.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::prelude::Device;
use m3ae::{MatchScore, Model};
use m3ae_benchmark::{Event, Index};
use serde_json::json;

use crate::answer::image;
use crate::eval::show;
use crate::files;
use crate::model::ModelArgs;
use crate::progress::Bar;

/// Search a folder of images by a text or a similar image, or a file of texts by an image.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    m3ae retrieve --checkpoint runs/quickstart --images scans/ --text \"fracture of the left hip\"")]
pub struct RetrieveArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The folder of images to search; they are encoded once and kept in --cache
    #[arg(long, value_name = "FOLDER", conflicts_with = "texts")]
    images: Option<PathBuf>,
    /// The file of texts to search, one per line
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Search by this text: the model scores it with every image
    #[arg(long, value_name = "TEXT", conflicts_with = "image")]
    text: Option<String>,
    /// Search by this image (- for standard input): the model scores it with every text; images are compared by
    /// features
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Number of results
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// Print one JSON object per result
    #[arg(long)]
    json: bool,
    /// Folder of encoded images, keyed by the content of weights and images
    #[arg(long, value_name = "FOLDER", default_value = "runs/index")]
    cache: PathBuf,
}

/// A result.
struct Found {
    name: String,
    score: f32,
    probability: Option<f64>,
}

/// Searches and prints.
pub fn run(args: &RetrieveArgs, device: &Device) -> Result<()> {
    ensure!(args.text.is_some() || args.image.is_some(), "no query: pass --text or --image");
    let query = args.image.as_deref().map(image).transpose()?;
    let mut found = match (&args.images, &args.texts, &args.text, &query) {
        (Some(folder), None, text, query) => {
            let paths = files::images(folder)?;
            let model = args.model.open(device)?.model;
            let index = open_index(&args.cache, &model, &paths)?;
            match (text, query) {
                (Some(text), _) => by_text(&model, &index, text)?,
                (None, Some(image)) => by_likeness(&index, &model.embed_image(image)?)?,
                (None, None) => Vec::new(),
            }
        }
        (None, Some(file), None, Some(image)) => {
            let lines = files::lines(file)?;
            let model = args.model.open(device)?.model;
            let images = model.encode_images(std::slice::from_ref(image))?;
            let pairs: Vec<(usize, &str)> = lines.iter().map(|line| (0, line.as_str())).collect();
            let scores = model.match_scores(&images, &pairs)?;
            let result = |(line, score): (&String, MatchScore)| Found {
                name: line.clone(),
                score: score.score,
                probability: score.probability,
            };
            lines.iter().zip(scores).map(result).collect()
        }
        (None, Some(_), ..) => bail!("texts are searched by an image: pass --image"),
        _ => bail!("nothing to search: pass --images or --texts"),
    };
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    for (rank, result) in found.iter().take(args.top).enumerate() {
        let Found { name, score, probability } = result;
        if args.json {
            println!("{}", json!({ "rank": rank + 1, "score": score, "probability": probability, "name": name }));
        } else {
            let probability = probability.map_or_else(String::new, |p| format!("{:6.1} %", 100.0 * p));
            println!("{:>4} {score:>9.4} {probability:>9}  {name}", rank + 1);
        }
    }
    Ok(())
}

/// Encodes the images that are not in the cache yet, with a progress bar.
fn open_index(cache: &Path, model: &Model, paths: &[PathBuf]) -> Result<Index> {
    let (mut bar, mut left_out) = (Bar::default(), 0);
    let index = Index::open(cache, model, paths, &mut |event| {
        left_out += usize::from(matches!(event, Event::LeftOut { .. }));
        show(&mut bar, &event);
    })?;
    eprintln!(
        "{} images: {} encoded now, {left_out} left out, the rest from {}",
        paths.len(),
        index.encoded(),
        index.folder().display()
    );
    Ok(index)
}

/// Scores every image with the text, a block of images at a time.
fn by_text(model: &Model, index: &Index, text: &str) -> Result<Vec<Found>> {
    let mut bar = Bar::default();
    bar.begin(index.len() as u64, 0, "pairs");
    let mut found = Vec::with_capacity(index.len());
    for block in index.blocks(model.batch_size()) {
        let images = index.tokens(block.clone(), model)?;
        let pairs: Vec<(usize, &str)> = (0..block.len()).map(|row| (row, text)).collect();
        for (place, score) in block.clone().zip(model.match_scores(&images, &pairs)?) {
            found.push(Found { name: index.name(place), score: score.score, probability: score.probability });
        }
        bar.advance(block.len() as u64);
    }
    bar.end();
    Ok(found)
}

/// Scores images by the cosine similarity of the vision encoder's features.
fn by_likeness(index: &Index, query: &[f32]) -> Result<Vec<Found>> {
    let norm = |x: &[f32]| x.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let mut found = Vec::with_capacity(index.len());
    for place in 0..index.len() {
        let features = index.features(place).with_context(|| index.name(place))?;
        let dot: f32 = features.iter().zip(query).map(|(a, b)| a * b).sum();
        let score = dot / (norm(&features) * norm(query));
        found.push(Found { name: index.name(place), score, probability: None });
    }
    Ok(found)
}
