//! `m3ae reconstruct`: what a pre-trained model makes of removed patches and masked words.

use std::io::Cursor;
use std::path::PathBuf;

use anyhow::Result;
use burn::prelude::Device;

use crate::answer::image;
use crate::model::ModelArgs;
use crate::output::say;

/// Remove patches of an image, or words of its caption, and let a pre-trained model fill them in.
#[derive(Debug, clap::Args)]
pub struct ReconstructArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The image, PNG or JPEG; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The image's caption, which the model reads; words masked in it by the tokenizer's mask token (such as `<mask>`) are filled in
    #[arg(long, value_name = "TEXT", default_value = "")]
    caption: String,
    /// Share of the patches to remove
    #[arg(long, default_value_t = 0.75)]
    ratio: f64,
    /// Which patches
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Words shown for each masked one
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// The picture: the image, what remains, what the model predicts
    #[arg(long, value_name = "FILE", default_value = "reconstruction.png")]
    out: PathBuf,
}

/// Draws the picture and prints the words.
pub fn run(args: &ReconstructArgs, device: &Device) -> Result<()> {
    let image = image(&args.image)?;
    let model = args.model.open(device)?.model;
    let picture = model.reconstruct(&image, &args.caption, args.ratio, args.seed)?;
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Png)?;
    // Before anything is printed: a reader that is gone must not cost the picture.
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
