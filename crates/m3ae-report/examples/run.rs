//! Makes the page of a run folder, or of an invented run where none is given:
//! `cargo run -p m3ae-report --example run [-- folder]`. Prints how long that took.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use m3ae_report::{REPORT_FILE, train_report};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = match std::env::args().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => invented(&std::env::temp_dir().join("m3ae-example-run"))?,
    };
    let began = Instant::now();
    train_report(&folder)?;
    println!("{} in {:.1} ms", folder.join(REPORT_FILE).display(), began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// A run of 10 000 lines whose curves look like a run's and mean nothing.
fn invented(folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    fs::create_dir_all(folder)?;
    let mut lines = String::from(
        "{\"event\":\"start\",\"parameters\":2134018,\"train_samples\":1536,\"train_images\":512,\"val_samples\":192,\
         \"vocabulary\":600,\"truncated\":0,\"steps\":120000,\"initial\":[]}\n",
    );
    for line in 0..=10_000_u32 {
        let (step, t) = (line * 10, f64::from(line) / 10_000.0);
        let noise =
            |salt: u32| (f64::from((line * 31 + salt).wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24)) - 0.5;
        let fall =
            |from: f64, to: f64, salt: u32| to + (from - to) * (-6.0 * t).exp() + 0.12 * noise(salt) * (from - to);
        let metrics = |offset: f64, n: f64| {
            format!(
                "{{\"mlm_loss\":{:.4},\"mlm_accuracy\":{:.4},\"mim_loss\":{:.4},\"itm_loss\":{:.4},\"itm_accuracy\":{:.4}}}",
                offset + fall(6.4, 1.3, 1) * n,
                0.75 - fall(0.7, 0.1, 2),
                fall(0.9, 0.2, 3),
                fall(0.69, 0.3, 4),
                1.0 - fall(0.5, 0.08, 5),
            )
        };
        if line > 0 {
            let rate = 7e-4 * if t < 0.1 { t / 0.1 } else { (1.0 - t) / 0.9 };
            lines += &format!(
                "{{\"event\":\"train\",\"step\":{step},\"epoch\":{},\"metrics\":{},\"learning_rate\":{rate:e},\"gradient_norm\":{:.4},\
                 \"samples_per_second\":{:.2},\"seconds\":{}}}\n",
                step / 192,
                metrics(0.0, 1.0),
                0.4 + 40.0 * (-30.0 * t).exp() + noise(6).abs(),
                31.0 + 3.0 * noise(7),
                step / 4,
            );
        }
        if line.is_multiple_of(500) {
            lines += &format!("{{\"event\":\"validation\",\"step\":{step},\"metrics\":{}}}\n", metrics(0.2 * t, 1.02));
        }
    }
    fs::write(folder.join("metrics.jsonl"), lines)?;
    fs::write(
        folder.join("config.toml"),
        "[run]\nname = \"example\"\nseed = 0\n\n[train]\nbatch_size = 8\nsteps = 120000\n",
    )?;
    fs::write(
        folder.join("environment.json"),
        r#"{"git_commit": "0000000 (invented)", "m3ae": "0.1.0", "device": "flex (CPU), 2 threads", "os": "linux x86_64"}"#,
    )?;
    fs::write(folder.join("predictions-100000.json"), PREDICTIONS)?;
    Ok(folder.to_owned())
}

const PREDICTIONS: &str = r#"[
 {"text": "PA chest radiograph: large right pleural effusion, heart size normal.", "words": [
  {"position": 4, "truth": "large", "guesses": [["large", 0.62], ["small", 0.3], ["moderate", 0.05], ["mild", 0.01], ["no", 0.01]]},
  {"position": 6, "truth": "pleural", "guesses": [["pleural", 0.97], ["lung", 0.01], ["basal", 0.01]]}]},
 {"text": "Axial CT of the head without contrast, no haemorrhage.", "words": [
  {"position": 3, "truth": "head", "guesses": [["abdomen", 0.55], ["head", 0.41], ["chest", 0.02]]}]}
]"#;
