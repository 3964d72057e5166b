//! `m3ae answer`: answers questions about images, a single one or a table of them.

mod rows;

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use burn::prelude::Device;
use m3ae::{Answers, Crop, Image, Model, draw, open_image, read_image};
use m3ae_benchmark::blocks;
use serde_json::json;

use crate::model::ModelArgs;
use crate::output::chain;
use rows::Row;

/// The largest image, in bytes, that is read from standard input.
const MAX_BYTES: u64 = 512 << 20;
/// The name of standard input on the command line.
const STDIN: &str = "-";

/// Answer questions about images with a trained model.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    m3ae answer --checkpoint runs/phantom-vqa --image scan.png --question \"is there a fracture?\"")]
pub struct AnswerArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The image, PNG or JPEG; - reads it from standard input
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    image: Option<PathBuf>,
    /// A question about the image; can be repeated, the image is encoded only once
    #[arg(long, value_name = "TEXT", required_unless_present = "batch")]
    question: Vec<String>,
    /// Answer a table of questions instead: CSV with the columns image and question, or JSON lines with these keys.
    /// Image paths are relative to the table's folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "question", "attention"])]
    batch: Option<PathBuf>,
    /// Number of answers per question, most probable first
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Print one JSON object per question
    #[arg(long)]
    json: bool,
    /// Write a PNG that shows where in the image the model looked (one question only)
    #[arg(long, value_name = "FILE")]
    attention: Option<PathBuf>,
}

/// Prints the answers. A table's rows that cannot be answered are reported, the others are answered, and the exit code
/// is 1.
pub fn run(args: &AnswerArgs, device: &Device) -> Result<ExitCode> {
    if args.attention.is_some() && args.question.len() > 1 {
        bail!("--attention draws the map of one question: pass --question once");
    }
    let rows = match (&args.batch, &args.image) {
        (Some(table), _) => rows::read(table)?,
        (None, Some(image)) => args.question.iter().map(|question| Row::new(image.clone(), question.clone())).collect(),
        (None, None) => bail!("name an image with --image, or a table with --batch"),
    };
    // A missing image is reported before a large model is loaded.
    let mut standard_input = None;
    if args.batch.is_none() {
        standard_input = Some(image(&rows[0].image)?);
    }
    let model = args.model.open(device)?.model;
    // Before anything is printed: a reader that is gone must not cost the picture.
    if let (Some(path), Some(image), [row]) = (&args.attention, &standard_input, rows.as_slice()) {
        draw_attention(&model, image, &row.question, path)?;
    }
    let mut failed = 0;
    for block in blocks(&rows.iter().map(|row| &row.image).collect::<Vec<_>>(), model.batch_size()) {
        let answers = answer(&model, &rows[block.clone()], usize::from(args.top), standard_input.as_ref());
        for (row, answers) in rows[block].iter().zip(answers?) {
            match answers {
                // Without a table the error ends the command.
                Err(error) if args.batch.is_none() => return Err(error),
                answers => failed += usize::from(!say(row, answers, args)),
            }
        }
    }
    if failed > 0 {
        eprintln!("error: {failed} of {} rows could not be answered", rows.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers a block of rows; each image is encoded once. A row that cannot be answered has its error as result.
fn answer(model: &Model, rows: &[Row], top: usize, given: Option<&Image>) -> Result<Vec<Result<Answers>>> {
    let mut numbers: HashMap<&Path, Result<usize, String>> = HashMap::new();
    let mut crops: Vec<Crop> = Vec::new();
    let mut asked = Vec::new();
    let mut answers: Vec<Result<Answers>> = Vec::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        let number = numbers.entry(&row.image).or_insert_with(|| {
            let crop = match given {
                Some(image) => model.crop(image).map_err(anyhow::Error::from),
                None => open_image(&row.image).and_then(|image| model.crop(&image)).map_err(anyhow::Error::from),
            };
            crop.map(|crop| {
                crops.push(crop);
                crops.len() - 1
            })
            .map_err(|error| format!("{}: {}", row.image.display(), chain(&error)))
        });
        let checked = number.clone().map_err(anyhow::Error::msg).and_then(|number| {
            model.tokens(&row.question).with_context(|| row.place.clone())?;
            Ok(number)
        });
        match checked {
            Ok(number) => asked.push((place, number)),
            Err(error) => answers.push(Err(error)),
        }
    }
    let mut refused = answers.into_iter();
    let mut said = if asked.is_empty() {
        Vec::new()
    } else {
        let questions: Vec<(usize, &str)> =
            asked.iter().map(|&(place, number)| (number, rows[place].question.as_str())).collect();
        model.answer_encoded(&model.encode_crops(&crops)?, &questions, top)?
    }
    .into_iter();
    let is_asked: Vec<bool> = (0..rows.len()).map(|place| asked.iter().any(|&(at, _)| at == place)).collect();
    let next = |asked| match asked {
        true => said.next().map(Ok),
        false => refused.next(),
    };
    Ok(is_asked.into_iter().filter_map(next).collect())
}

/// Prints a row's answers, or its error; returns whether there are answers.
fn say(row: &Row, answers: Result<Answers>, args: &AnswerArgs) -> bool {
    let image = row.image.display().to_string();
    let mut line = json!({ "image": image, "question": row.question });
    if let Some(id) = &row.id {
        line["id"] = id.clone();
    }
    match answers {
        Ok(answers) if args.json => {
            line["truncated"] = answers.truncated.into();
            let answer = |answer: &m3ae::Answer| json!({ "answer": answer.answer, "class": answer.class, "probability": answer.probability });
            line["answers"] = answers.top.iter().map(answer).collect();
            println!("{line}");
            true
        }
        Ok(answers) => {
            if args.batch.is_some() {
                println!("{image}");
            }
            println!("{}", row.question.trim());
            if answers.truncated {
                println!("  (too long for the model: the end was cut off)");
            }
            answers.top.iter().for_each(|answer| println!("  {:5.1} %  {}", 100.0 * answer.probability, answer.answer));
            true
        }
        Err(error) => {
            if args.json {
                line["error"] = chain(&error).into();
                println!("{line}");
            }
            eprintln!("{}: {}", row.place, chain(&error));
            false
        }
    }
}

fn draw_attention(model: &Model, image: &Image, question: &str, path: &Path) -> Result<()> {
    let crop = model.crop(image)?;
    let images = model.encode_crops(std::slice::from_ref(&crop))?;
    let maps = model.attention(&images, &[(0, question)])?;
    m3ae_files::write(path, &draw(&crop, maps.first())?)?;
    Ok(())
}

/// Reads an image from a file or standard input.
pub fn image(path: &Path) -> Result<Image> {
    if path.as_os_str() != STDIN {
        return Ok(open_image(path)?);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes).context("standard input")?;
    Ok(read_image(&bytes, Path::new("standard input"))?)
}
