//! `m3ae reconstruct`: shows how a pre-trained model fills in removed patches and masked words.

use std::io::Cursor;
use std::path::PathBuf;

use anyhow::Result;
use burn::prelude::Device;

use crate::answer::image;
use crate::model::ModelArgs;
use crate::output::say;

/// Remove patches of an image or words of its caption, and let a pre-trained model fill them in.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    m3ae reconstruct --checkpoint runs/quickstart --image scan.png --caption \"a chest <mask> without effusion\"")]
pub struct ReconstructArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The image, PNG or JPEG; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The image's caption; each mask token of the tokenizer in it (such as <mask>) is filled in
    #[arg(long, value_name = "TEXT", default_value = "")]
    caption: String,
    /// Share of the patches to remove, from 0 to 1
    #[arg(long, default_value_t = 0.75)]
    ratio: f64,
    /// Seed that draws the patches to remove
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of words printed for each masked one
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// The picture to write: the image, its remaining patches, and the model's prediction
    #[arg(long, value_name = "FILE", default_value = "reconstruction.png")]
    out: PathBuf,
}

/// Writes the picture and prints the words.
pub fn run(args: &ReconstructArgs, device: &Device) -> Result<()> {
    let image = image(&args.image)?;
    let model = args.model.open(device)?.model;
    let picture = model.reconstruct(&image, &args.caption, args.ratio, args.seed)?;
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Png)?;
    // Written before anything is printed: a closed pipe must not lose the picture.
    m3ae_files::write(&args.out, file.get_ref())?;
    if args.caption.contains(&model.mask_token()) {
        let images = model.encode_images(&[image])?;
        for (number, words) in model.fill_masks(&images, 0, &args.caption, args.top)?.iter().enumerate() {
            say!("{} {}", model.mask_token(), number + 1);
            words.iter().for_each(|filling| say!("  {:5.1} %  {}", 100.0 * filling.probability, filling.word));
        }
    }
    say!("{}", args.out.display());
    Ok(())
}
