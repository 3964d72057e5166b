//! What the published size costs: opening, a question, pairs of image and text. `cargo run --example speed`.
//!
//! Weights are random (times do not depend on them). Beside each time stands the processors' time: on a machine that
//! does nothing else, the former is at least the latter divided by the number of processors.

use std::error::Error;
use std::time::Instant;

use burn::prelude::Device;
use m3ae::{Image, Model};
use m3ae_image::Layout;
use m3ae_model::{HeadsConfig, M3aeConfig};
use m3ae_text::Tokenizer;
use m3ae_weights::{Extras, export_folder};

const QUESTIONS: [&str; 4] =
    ["is there an effusion on the left?", "which plane is this?", "is the heart enlarged?", "where is the mass?"];
const CAPTION: &str = "chest x-ray showing a large effusion on the left and an enlarged heart";

/// A model of the published size for images of `side` pixels, opened from a temporary folder.
fn model(side: usize, heads: HeadsConfig, device: &Device) -> Result<Model, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model");
    Tokenizer::train(QUESTIONS, 300)?.save(folder.path())?;
    let mut config = M3aeConfig::base();
    config.heads = heads;
    config.vision = config.vision.at(side);
    let answers = config.heads.vqa.map(|classes| (0..classes).map(|class| format!("answer {class}")).collect());
    let extras = Extras { tokenizer: Some(folder.path().to_owned()), answers, max_length: Some(40) };
    export_folder(&config.init(device)?, &config, &extras, &path)?;
    let path = path.to_str().ok_or("the temporary folder's name is not UTF-8")?;
    timed("open", 1, || Ok(Model::open(path, device)?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::default();
    let pixels = (0..600 * 500).map(|i| (i * 7 % 251) as u8).collect();
    let image = Image::new(600, 500, Layout::Grey, pixels).ok_or("an image")?;
    let heads = HeadsConfig::new().with_mlm(false).with_mim(false);

    let asked = model(384, heads.clone().with_itm(false).with_vqa(Some(498)), &device)?;
    for question in QUESTIONS {
        timed("one question, 384 pixels", 1, || Ok(asked.answer(&image, question, 5)?))?;
    }
    let questions: Vec<(usize, &str)> = QUESTIONS.iter().map(|&question| (0, question)).collect();
    timed("each of 4 questions about one image", 4, || {
        Ok(asked.answer_batch(std::slice::from_ref(&image), &questions, 5)?)
    })?;

    let matcher = model(288, heads, &device)?;
    let captions = [CAPTION; 16];
    let images = matcher.encode_images(std::slice::from_ref(&image))?;
    let texts = matcher.encode_texts(&captions)?;
    let shared = timed("each pair, 288 pixels, fusion alone", 16, || Ok(matcher.score_image(&images, 0, &texts)?))?;
    let whole = timed("each pair, 288 pixels, whole passes", 4, || {
        let pixels = vec![image.clone(); 4];
        let pairs: Vec<(usize, &str)> = (0..4).map(|row| (row, CAPTION)).collect();
        Ok(matcher.match_scores(&matcher.encode_images(&pixels)?, &pairs)?)
    })?;
    let furthest = whole.iter().map(|whole| (whole.score - shared[0]).abs()).fold(0.0, f32::max);
    println!("the scores differ by {furthest:.1e} of {:.3}", shared[0].abs());
    Ok(())
}

/// Runs `work` and prints what each of its `count` parts took.
fn timed<T>(what: &str, count: usize, work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    let (begun, before) = (Instant::now(), processor_seconds());
    let result = work()?;
    let each = |seconds: f64| seconds / count as f64;
    print!("{what}: {:.3} s", each(begun.elapsed().as_secs_f64()));
    match (before, processor_seconds()) {
        (Some(before), Some(after)) => println!(" ({:.2} s of processors)", each(after - before)),
        _ => println!(),
    }
    Ok(result)
}

/// Processor time of this process, where the system tells (Linux, at its usual 100 ticks a second).
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
