//! How long one question takes at the published size: `cargo run --release --example one_question`.
//!
//! Weights are random (times do not depend on them), images are 384 pixels, the model is written to a temporary folder and opened
//! from there.

use std::error::Error;
use std::time::Instant;

use burn::prelude::Device;
use m3ae::{Image, Model};
use m3ae_data::Layout;
use m3ae_model::{HeadsConfig, M3aeConfig};
use m3ae_text::Tokenizer;
use m3ae_weights::{Extras, export_folder};

const QUESTIONS: [&str; 4] =
    ["is there an effusion on the left?", "which plane is this?", "is the heart enlarged?", "where is the mass?"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model");
    let device = Device::default();
    Tokenizer::train(QUESTIONS, 300)?.save(folder.path())?;
    let mut config = M3aeConfig::m3ae_base();
    config.vision.image_size = 384;
    config.heads = HeadsConfig::new().with_mlm(false).with_mim(false).with_itm(false).with_vqa(Some(498));
    let answers = (0..498).map(|class| format!("answer {class}")).collect();
    let extras = Extras { tokenizer: Some(folder.path().to_owned()), answers: Some(answers), max_length: Some(32) };
    export_folder(&config.init(&device)?, &config, &extras, &path)?;

    let begun = Instant::now();
    let model = Model::open(path.to_str().ok_or("the temporary folder's name is not UTF-8")?, &device)?;
    println!("opened in {:.2} s", begun.elapsed().as_secs_f64());
    let pixels = (0..600 * 500).map(|i| (i * 7 % 251) as u8).collect();
    let image = Image::new(600, 500, Layout::Grey, pixels).ok_or("an image")?;
    for question in QUESTIONS {
        let begun = Instant::now();
        model.answer(&image, question, 5)?;
        println!("one question: {:.3} s", begun.elapsed().as_secs_f64());
    }
    let begun = Instant::now();
    let asked: Vec<(usize, &str)> = QUESTIONS.iter().map(|&question| (0, question)).collect();
    model.answer_batch(std::slice::from_ref(&image), &asked, 5)?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} questions about one image: {:.3} s, {:.3} s each", asked.len(), seconds, seconds / asked.len() as f64);
    Ok(())
}
