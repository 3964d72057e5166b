//! `m3ae embed`: writes features of images, texts and image-text pairs as safetensors or NumPy files.

mod npy;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::prelude::Device;
use m3ae::open_image;
use m3ae_benchmark::write_matrices;

use crate::files;
use crate::model::ModelArgs;
use crate::output::say;

/// Write feature vectors of images, texts and image-text pairs to a file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae embed --checkpoint runs/quickstart --image scans/ --out features.safetensors")]
pub struct EmbedArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// An image, or a folder of images; can be repeated. Gives the tensor `images` [n, Dv]: the vision encoder's class
    /// token
    #[arg(long, value_name = "PATH")]
    image: Vec<PathBuf>,
    /// A text; can be repeated. Gives the tensor `texts` [n, Dt]: the text encoder's first token
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// A file of further texts, one per line
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Also fuse image i with text i. Gives the tensor `pairs` [n, 2D]: pooled text, then pooled image
    #[arg(long)]
    pairs: bool,
    /// The file to write. NAME.safetensors holds all tensors; its metadata say which image or text each row belongs to.
    /// NAME.npy (NumPy) holds one matrix; several go to NAME-images.npy, NAME-texts.npy and NAME-pairs.npy, and
    /// NAME.rows.json says which image or text each row belongs to
    #[arg(long, value_name = "FILE", default_value = "features.safetensors")]
    out: PathBuf,
}

/// Computes the features and writes the files.
pub fn run(args: &EmbedArgs, device: &Device) -> Result<()> {
    let mut images = Vec::new();
    for path in &args.image {
        images.extend(files::images(path)?);
    }
    let mut texts = args.text.clone();
    if let Some(path) = &args.texts {
        texts.extend(files::lines(path)?);
    }
    let format = Format::of(&args.out)?;
    ensure!(!(images.is_empty() && texts.is_empty()), "nothing to embed: pass --image, --text or --texts");
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
    let model_name = model.path().display().to_string();
    let matrices = [("images", image_rows), ("texts", text_rows), ("pairs", pair_rows)];
    let matrices: Vec<_> = matrices.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
    let written = match format {
        Format::Safetensors => {
            let metadata = HashMap::from([
                ("model".to_owned(), model_name),
                ("images".to_owned(), serde_json::to_string(&names)?),
                ("texts".to_owned(), serde_json::to_string(&texts)?),
            ]);
            let matrices: Vec<_> = matrices.iter().map(|(name, rows)| (*name, rows.as_slice())).collect();
            write_matrices(&args.out, &matrices, metadata)?;
            vec![args.out.clone()]
        }
        Format::Npy => save_npy(
            &args.out,
            &matrices,
            &serde_json::json!({ "model": model_name, "images": names, "texts": texts }),
        )?,
    };
    for (name, rows) in &matrices {
        say!("{name} [{}, {}]", rows.len(), rows[0].len());
    }
    written.iter().for_each(|path| say!("{}", path.display()));
    Ok(())
}

/// The file format of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Safetensors,
    Npy,
}

impl Format {
    /// By the file's ending.
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("npy") => Ok(Self::Npy),
            _ => bail!("--out {}: the file name must end in .safetensors, or in .npy for NumPy", path.display()),
        }
    }
}

/// Writes a file for each matrix and one that names the rows; returns their paths.
fn save_npy(out: &Path, matrices: &[(&str, Vec<Vec<f32>>)], rows: &serde_json::Value) -> Result<Vec<PathBuf>> {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let mut written = Vec::new();
    for (name, matrix) in matrices {
        let path = match matrices.len() {
            1 => out.to_owned(),
            _ => out.with_file_name(format!("{stem}-{name}.npy")),
        };
        m3ae_files::write(&path, &npy::encode(matrix))?;
        written.push(path);
    }
    let names = out.with_file_name(format!("{stem}.rows.json"));
    m3ae_files::write(&names, &serde_json::to_vec_pretty(rows)?)?;
    written.push(names);
    Ok(written)
}
