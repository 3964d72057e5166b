//! `m3ae embed`: features of images, texts and pairs of them, as safetensors.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burn::prelude::Device;
use m3ae::{Model, open_image};
use m3ae_report::write_atomic;
use safetensors::tensor::{Dtype, TensorView};

use crate::files;
use crate::model::ModelArgs;

/// Compute features of images and texts.
#[derive(Debug, clap::Args)]
pub struct EmbedArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// An image, or a folder of images (can be repeated): tensor `images` [n, Dv], the vision encoder's class token
    #[arg(long, value_name = "PATH")]
    image: Vec<PathBuf>,
    /// A text (can be repeated): tensor `texts` [n, Dt], the text encoder's first token
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// A file of texts, one a line, after those of --text
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Fuse image i with text i too: tensor `pairs` [n, 2D], pooled text and pooled image
    #[arg(long)]
    pairs: bool,
    /// The file to write; its metadata name what each row is of
    #[arg(long, value_name = "FILE", default_value = "features.safetensors")]
    out: PathBuf,
}

/// Computes and writes.
pub fn run(args: &EmbedArgs, device: &Device) -> Result<()> {
    let mut images = Vec::new();
    for path in &args.image {
        images.extend(files::images(path)?);
    }
    let mut texts = args.text.clone();
    if let Some(path) = &args.texts {
        texts.extend(files::lines(path)?);
    }
    ensure!(!(images.is_empty() && texts.is_empty()), "name what to embed, with --image, --text or --texts");
    ensure!(
        !args.pairs || images.len() == texts.len(),
        "--pairs needs as many texts as images: there are {} texts and {} images",
        texts.len(),
        images.len()
    );
    let model = args.model.open(device)?.model;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (mut image_rows, mut pair_rows) = (Vec::new(), Vec::new());
    for (batch, paths) in images.chunks(model.batch_size()).enumerate() {
        let read = |path: &PathBuf| {
            let image = open_image(path)?;
            model.crop(&image).with_context(|| path.display().to_string())?;
            Ok(image)
        };
        let batch_images = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
        image_rows.extend(model.embed_images(&batch_images)?);
        if args.pairs {
            let first = batch * model.batch_size();
            let asked: Vec<(usize, &str)> = (0..paths.len()).map(|i| (i, texts[first + i])).collect();
            pair_rows.extend(model.embed_pairs(&model.encode_images(&batch_images)?, &asked)?);
        }
    }
    let text_rows = model.embed_texts(&texts)?;
    let names: Vec<String> = images.iter().map(|path| path.display().to_string()).collect();
    let metadata = HashMap::from([
        ("model".to_owned(), model_name(&model)),
        ("images".to_owned(), serde_json::to_string(&names)?),
        ("texts".to_owned(), serde_json::to_string(&texts)?),
    ]);
    let matrices = [("images", image_rows), ("texts", text_rows), ("pairs", pair_rows)];
    let matrices: Vec<_> = matrices.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
    save(&args.out, &matrices, metadata)?;
    for (name, rows) in &matrices {
        println!("{name} [{}, {}]", rows.len(), rows[0].len());
    }
    println!("{}", args.out.display());
    Ok(())
}

fn model_name(model: &Model) -> String {
    model.path().display().to_string()
}

/// Writes matrices of rows of equal length as float32, whole or not at all.
pub fn save(
    path: &std::path::Path,
    matrices: &[(&str, Vec<Vec<f32>>)],
    metadata: HashMap<String, String>,
) -> Result<()> {
    let bytes: Vec<Vec<u8>> = matrices
        .iter()
        .map(|(_, rows)| rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::with_capacity(matrices.len());
    for ((name, rows), bytes) in matrices.iter().zip(&bytes) {
        views.push((*name, TensorView::new(Dtype::F32, vec![rows.len(), rows.first().map_or(0, Vec::len)], bytes)?));
    }
    Ok(write_atomic(path, &safetensors::serialize(views, Some(metadata))?)?)
}
