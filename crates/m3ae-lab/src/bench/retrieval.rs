//! `m3ae-lab bench retrieval`: scores of every image with every text, encoded once, against a full forward pass per
//! pair.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use burn::prelude::Device;
use m3ae::{Model, OpenOptions};
use m3ae_cli::backend::Backend;
use m3ae_cli::model::ModelOptions;
use m3ae_cli::output::say;
use m3ae_image::Crop;
use m3ae_text::Tokenizer;
use m3ae_weights::{Extras, export_folder};
use serde::Serialize;

use super::operations::{self, Pairs};
use super::synthetic::{caption, picture};
use super::turns::{Side, TurnArgs, Work, alternate, median, write_json};
use super::work::{Kind, Size};

/// Scores of both ways may differ by this share of the largest: rounding.
const TOLERANCE: f32 = 1e-4;
/// Tokens of the vocabulary that the captions are written in, where the model is a random one.
const TOKENS: usize = 1500;

/// Pairs of images and texts per second: each encoded once and the fusion alone run for every pair, as `eval` and
/// `retrieve` do, in turns with a full forward pass for every pair, also in batches. Both have to give the same scores.
#[derive(Debug, clap::Args)]
pub struct RetrievalArgs {
    /// The model; by default the published size with random weights, at 384 pixels and 40 tokens (the published
    /// recipe's)
    #[arg(long, value_name = "MODEL")]
    checkpoint: Option<String>,
    #[command(flatten)]
    options: ModelOptions,
    /// A random model of width 192 instead of the published one
    #[arg(long, conflicts_with = "checkpoint")]
    small: bool,
    /// Images
    #[arg(long, default_value_t = 32)]
    images: usize,
    /// Texts
    #[arg(long, default_value_t = 32)]
    texts: usize,
    /// How many of the pairs are put through full passes in each turn; the rest of them would only take longer
    #[arg(long, default_value_t = 32)]
    full_pairs: usize,
    #[command(flatten)]
    turns: TurnArgs,
}

/// What one turn measured.
#[derive(Debug, Clone, Serialize)]
struct Scored {
    seconds: f64,
    pairs: usize,
    #[serde(skip)]
    scores: Vec<f32>,
}

#[derive(Debug, Serialize)]
struct Measured<'a> {
    work: String,
    sides: &'a [Side<Scored>],
    /// The sides' medians over each other.
    speedup: f64,
    /// What the multiply-adds allow at the most; unknown of Swin.
    limit: Option<f64>,
    largest_difference: f32,
}

/// Measures and prints the table.
pub fn run(args: &RetrievalArgs, backend: Backend) -> Result<ExitCode> {
    ensure!(args.images > 0 && args.texts > 0, "--images and --texts are at least 1");
    let total = args.images * args.texts;
    ensure!(
        (1..=total).contains(&args.full_pairs),
        "--full-pairs {}: {} images with {} texts are {total} pairs",
        args.full_pairs,
        args.images,
        args.texts
    );
    let device = backend.device()?;
    let texts: Vec<String> = (0..args.texts).map(caption).collect();
    let model = match &args.checkpoint {
        Some(checkpoint) => args.options.open(checkpoint, &device)?.model,
        None => random(args, &texts, &device)?,
    };
    let pictures = (0..args.images).map(|number| picture(number, model.config().vision.image_size()));
    let crops = pictures.map(|image| Ok(model.crop(&image?)?)).collect::<Result<Vec<Crop>>>()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let pairs: Vec<(usize, usize)> = (0..args.full_pairs).map(|number| pair(number, args)).collect();
    let sides: Vec<(&str, Work<'_, Scored>)> = vec![
        ("encoded once", Box::new(|| encoded_once(&model, &crops, &texts))),
        ("full passes", Box::new(|| full_passes(&model, &crops, &texts, &pairs))),
    ];
    let sides = alternate(args.turns.rounds, sides)?;

    let difference = compare(&sides, &pairs, args.texts)?;
    let rate = |side: &Side<Scored>| median(side.turns.iter().map(|turn| turn.pairs as f64 / turn.seconds).collect());
    let lengths = texts.iter().map(|text| Ok(model.tokens(text)?.ids.len())).collect::<Result<Vec<_>>>()?;
    let measured = Measured {
        work: format!(
            "{} images with {} texts of up to {} tokens, {} pixels, batches of {}, {}",
            args.images,
            args.texts,
            lengths.iter().max().copied().unwrap_or(0),
            model.config().vision.image_size(),
            model.batch_size(),
            backend.name()
        ),
        speedup: rate(&sides[0]) / rate(&sides[1]),
        limit: limit(&model, &crops, &lengths),
        largest_difference: difference,
        sides: &sides,
    };
    let mut table = format!("{}\n\n| | pairs in a turn | pairs/s |\n|---|---|---|\n", measured.work);
    for side in &sides {
        let pairs = side.turns.first().map_or(0, |turn| turn.pairs);
        let _ = writeln!(table, "| {} | {pairs} | {:.3} |", side.name, rate(side));
    }
    let limit = measured.limit.map_or_else(String::new, |limit| format!(" (by its multiply-adds at most {limit:.2})"));
    let _ = writeln!(table, "| ratio | | {:.2}{limit} |", measured.speedup);
    say!("{table}\nthe same scores: largest difference {difference:.1e}");
    write_json(args.turns.json.as_deref(), &device, &measured)?;
    Ok(ExitCode::SUCCESS)
}

/// Every image and every text once, then the fusion for every pair.
fn encoded_once(model: &Model, crops: &[Crop], texts: &[&str]) -> Result<Scored> {
    let begun = Instant::now();
    let encoded = model.encode_texts(texts)?;
    let mut scores = Vec::with_capacity(crops.len() * texts.len());
    for batch in crops.chunks(model.batch_size()) {
        let images = model.encode_crops(batch)?;
        for image in 0..batch.len() {
            scores.extend(model.score_image(&images, image, &encoded)?);
        }
    }
    Ok(Scored { seconds: begun.elapsed().as_secs_f64(), pairs: scores.len(), scores })
}

/// Each pair's image and text encoded for it alone, a batch of pairs at a time.
fn full_passes(model: &Model, crops: &[Crop], texts: &[&str], pairs: &[(usize, usize)]) -> Result<Scored> {
    let begun = Instant::now();
    let mut scores = Vec::with_capacity(pairs.len());
    for batch in pairs.chunks(model.batch_size()) {
        let images: Vec<Crop> = batch.iter().map(|&(image, _)| crops[image].clone()).collect();
        let images = model.encode_crops(&images)?;
        let rows: Vec<(usize, &str)> = batch.iter().enumerate().map(|(row, &(_, text))| (row, texts[text])).collect();
        scores.extend(model.match_scores(&images, &rows)?.iter().map(|found| found.score));
    }
    Ok(Scored { seconds: begun.elapsed().as_secs_f64(), pairs: scores.len(), scores })
}

/// Pairs in an order in which a few have many different images and texts.
fn pair(number: usize, args: &RetrievalArgs) -> (usize, usize) {
    (number % args.images, (number + number / args.images) % args.texts)
}

/// The largest difference of the sides' scores of the same pairs.
fn compare(sides: &[Side<Scored>], pairs: &[(usize, usize)], texts: usize) -> Result<f32> {
    let last = |side: usize| sides[side].turns.last().map(|turn| turn.scores.as_slice()).unwrap_or_default();
    let (once, full) = (last(0), last(1));
    let largest = full.iter().fold(0.0_f32, |largest, score| largest.max(score.abs()));
    let differences = pairs.iter().zip(full).map(|(&(image, text), full)| (once[image * texts + text] - full).abs());
    let difference = differences.fold(0.0_f32, f32::max);
    ensure!(
        difference <= TOLERANCE * largest.max(f32::MIN_POSITIVE),
        "the two ways do not give the same scores: they differ by {difference:e}, scores go up to {largest:e}"
    );
    Ok(difference)
}

/// How much faster the multiply-adds of matrix products allow it to be; padding is not looked at.
fn limit(model: &Model, crops: &[Crop], lengths: &[usize]) -> Option<f64> {
    let config = model.config();
    let clip = config.vision.clip()?;
    let (images, texts) = (crops.len(), lengths.len());
    let tokens = 1 + clip.patches();
    let of_images =
        operations::vision(clip, images, clip.patches()) + operations::projections(config, 0, images * tokens);
    let of_texts = lengths
        .iter()
        .map(|&length| operations::text(&config.text, 1, length) + operations::projections(config, length, 0))
        .sum::<operations::Products>();
    let fused = lengths
        .iter()
        .map(|&text| operations::fusion_of_pairs(&config.fusion, Pairs { count: images, text, image: tokens }))
        .sum::<operations::Products>();
    let full = of_images * texts + of_texts * images + fused;
    Some(full.forward as f64 / (of_images + of_texts + fused).forward as f64)
}

/// A model with random weights, by way of a model folder: opened as any other.
fn random(args: &RetrievalArgs, texts: &[String], device: &Device) -> Result<Model> {
    let folder = tempfile::tempdir()?;
    let tokenizer = folder.path().join("tokenizer");
    Tokenizer::train(texts.iter().map(String::as_str), TOKENS)?.save(&tokenizer)?;
    let (image, text) = (args.options.image_size.unwrap_or(384), args.options.max_length.unwrap_or(40));
    let size = Size { batch: 1, image, text, small: args.small, bf16: false };
    let config = size.model(Kind::Pretrain)?;
    device.seed(0);
    let extras = Extras { tokenizer: Some(tokenizer), max_length: Some(text), ..Extras::default() };
    let model = folder.path().join("model");
    export_folder(&config.init(device)?, &config, &extras, &model)?;
    Ok(OpenOptions::new().batch_size(args.options.batch_size).open(&model.display().to_string(), device)?)
}
