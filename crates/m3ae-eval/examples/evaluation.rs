//! Makes the pages of invented evaluations: `cargo run -p m3ae-eval --example evaluation -- folder [picture.png…]`. The
//! numbers mean nothing; the pages show what real ones look like.

use std::path::PathBuf;
use std::time::Instant;

use m3ae_eval::{
    AnswerType, Bootstrap, CALIBRATION_BINS, Case, Confusion, Evaluation, Labelled, Prediction, Protocol, ScoreMatrix,
    Scores, calibration, choose_cases, classification_scores, compare, eval_report, retrieval_scores, vqa_scores,
    write_evaluation, write_predictions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let pictures = arguments.map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    std::fs::create_dir_all(&folder)?;
    let bootstrap = Bootstrap::default();

    let predictions: Vec<Prediction> = (0..451).map(|i| prediction(i, 0.72)).collect();
    let began = Instant::now();
    let scores = vqa_scores(&predictions, &bootstrap)?;
    println!("intervals of 451 questions in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    let items: Vec<(f64, f64)> = predictions.iter().filter_map(|p| Some((p.confidence()?, p.score))).collect();
    let calibration = calibration(&items, CALIBRATION_BINS)?;
    let scores = Scores::Vqa { scores, calibration, confusion: Confusion::of_answers(&predictions, 10) };
    let mut evaluation =
        Evaluation::new("vqa-rad", "test", "runs/invented/best", Protocol::Published, bootstrap, scores);
    evaluation.validation_equals_test = true;
    evaluation.notes.push("No question was longer than 32 tokens.".to_owned());
    evaluation.environment.insert("device".to_owned(), "none: the numbers are invented".to_owned());
    let case = |number: usize| Case {
        prediction: predictions[number].clone(),
        image: pictures.get(number % pictures.len().max(1)).cloned(),
        attention: pictures.get((number + 1) % pictures.len().max(1)).cloned(),
    };
    let cases: Vec<Case> =
        [true, false].into_iter().flat_map(|right| choose_cases(&predictions, right, 6, 0)).map(case).collect();
    eval_report(&evaluation, &cases)?.write(&folder.join("vqa.html"))?;
    write_evaluation(&folder.join("eval.json"), &evaluation)?;
    write_predictions(&folder.join("predictions.jsonl"), &predictions)?;
    let other: Vec<Prediction> = (0..451).map(|i| prediction(i, 0.77)).collect();
    for comparison in compare(&predictions, &other, &bootstrap)? {
        println!("{}", comparison.sentence("run A", "run B"));
    }

    let names = ["flow cytometry", "western blot", "microscopy", "PCR", "in situ hybridisation", "gel", "other"]
        .map(str::to_owned);
    let samples: Vec<Labelled> = (0..571)
        .map(|i| {
            let truth = (noise(i) * noise(i) * 7.0) as usize;
            let predicted = if noise(i + 5_000) < 0.75 { truth } else { (noise(i + 9_000) * 7.0) as usize };
            Labelled { image_id: (i / 2).to_string(), truth, predicted }
        })
        .collect();
    let scores = Scores::Classification { scores: classification_scores(&samples, &names, &bootstrap)? };
    let evaluation = Evaluation::new("melinda", "test", "runs/invented/best", Protocol::Clean, bootstrap, scores);
    eval_report(&evaluation, &[])?.write(&folder.join("classification.html"))?;

    let own: Vec<usize> = (0..500).collect();
    let scores: Vec<f32> =
        (0..250_000).map(|pair| noise(pair) as f32 + if pair / 500 == pair % 500 { 0.95 } else { 0.0 }).collect();
    let matrix = ScoreMatrix { scores: &scores, images: 500, image_of_text: &own };
    let scores = Scores::Retrieval { scores: retrieval_scores(&matrix, &bootstrap)? };
    let evaluation = Evaluation::new("roco", "val", "runs/invented/best", Protocol::Published, bootstrap, scores);
    eval_report(&evaluation, &[])?.write(&folder.join("retrieval.html"))?;
    println!("{}", folder.display());
    Ok(())
}

/// Irregular numbers in `0..1`.
fn noise(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 24)
}

fn prediction(i: usize, accuracy: f64) -> Prediction {
    const OPEN: [&str; 8] = ["right lung", "liver", "axial", "ct", "pleural effusion", "left kidney", "brain", "air"];
    let closed = noise(i) < 0.6;
    let pick = |salt: usize| -> String {
        let draw = noise(i + salt) * noise(i + salt);
        if closed { ["no", "yes"][usize::from(noise(i + salt) > 0.45)] } else { OPEN[(draw * 8.0) as usize] }.to_owned()
    };
    let truth = pick(1_000);
    let skill = if closed { accuracy + 0.08 } else { accuracy - 0.12 };
    let (right, other) = (noise(i + 2_000) < skill, pick(3_000));
    let answer = if right {
        truth.clone()
    } else if other == truth {
        "ultrasound".to_owned()
    } else {
        other
    };
    let sure = 0.35 + 0.64 * noise(i + 4_000).sqrt() * if right { 1.0 } else { 0.8 };
    let question = if closed {
        "is there evidence of a pleural effusion on the right?"
    } else {
        "which organ is shown in this image?"
    };
    Prediction {
        question_id: i as i64 + 1,
        image_id: format!("synpic{}", 10_000 + i * 37 % 203),
        question: question.to_owned(),
        answers: vec![truth],
        answer_type: if closed { AnswerType::Closed } else { AnswerType::Open },
        question_type: Some(["presence", "organ", "modality", "size"][(noise(i + 6_000) * 4.0) as usize].to_owned()),
        top: vec![(answer, sure), ("chest".to_owned(), (1.0 - sure) * 0.6), ("none".to_owned(), (1.0 - sure) * 0.2)],
        score: f64::from(u8::from(right)),
    }
}
