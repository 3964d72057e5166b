//! Writes a TensorBoard folder: `cargo run -p m3ae-report --example events -- folder`. The run in it was stopped after
//! 60 steps and went on from step 50.

use std::path::PathBuf;

use m3ae_report::tensorboard::{EventWriter, wall_time_now};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let mut first = EventWriter::create(&folder)?;
    for step in 1..=60_u16 {
        first.scalars(
            step.into(),
            wall_time_now(),
            &[("train/loss", 1.0 / f32::from(step)), ("learning_rate", 1e-5)],
        )?;
    }
    first.flush()?;
    let mut second = EventWriter::resume(&folder, 50)?;
    for step in 51..=100_u16 {
        second.scalars(
            step.into(),
            wall_time_now(),
            &[("train/loss", 2.0 / f32::from(step)), ("learning_rate", 1e-6)],
        )?;
    }
    second.flush()?;
    println!("{}\n{}", first.path().display(), second.path().display());
    Ok(())
}
