//! How long loading takes, and how much memory: for the published model's size, 366 million float32 parameters.
//!
//! ```text
//! cargo run -p m3ae-cli -p m3ae-weights --example load_bench     (or with --release)
//! ```
//!
//! Generates the file in a temporary folder (1.5 GB), then in fresh processes loads it, so that the peak is loading's own.
//! The numbers to compare with: reading the file once through a small buffer (`cat`) or into fresh memory, with the file in
//! the page cache; and the parameters' own size. Goals: under 3 times the reading, under 1.3 times the size.
//!
//! Two busy cores of a virtual machine, whose page faults are dear (November 2026): `cat` 0.13 to 0.20 s, loading
//! 1.1 s (0.4 s of computing, 0.75 s of the kernel's work), peak 1473 MB for 1463 MB of parameters.

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use burn::prelude::*;
use m3ae_model::M3aeConfig;
use m3ae_weights::{Checkpoint, load, save};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_] => compare(),
        [_, command, path] if command == "write" => write(path.as_ref()),
        [_, command, path] if command == "read" => read_whole(path.as_ref()),
        [_, command, path] if command == "load" => measure(path.as_ref()),
        _ => Err("usage: load_bench".into()),
    }
}

/// Writes the model with its initial weights.
fn write(path: &Path) -> Outcome {
    save(&M3aeConfig::m3ae_base().init(&Device::default())?, path, Default::default())?;
    Ok(())
}

/// Loads the file, and prints seconds and the process's peak memory.
fn measure(path: &Path) -> Outcome {
    let mut model = M3aeConfig::m3ae_base().init(&Device::default())?;
    let before = peak_memory()?;
    let start = Instant::now();
    let report = load(&mut model, &Checkpoint::open(path)?)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{} parameters, {seconds:.3} s", report.loaded.len());
    println!("{:.0} MB at most, {:.0} MB before loading", peak_memory()? / 1e6, before / 1e6);
    Ok(())
}

/// Largest resident memory of this process so far, in bytes.
fn peak_memory() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

fn read_once(path: &Path) -> Result<f64, Box<dyn Error>> {
    let mut buffer = vec![0; 1 << 17];
    let (mut file, start) = (File::open(path)?, Instant::now());
    while file.read(&mut buffer)? > 0 {}
    Ok(start.elapsed().as_secs_f64())
}

/// Reads the file into memory that nobody has touched yet, which is the least that loading can do.
fn read_whole(path: &Path) -> Outcome {
    let start = Instant::now();
    let bytes = fs::read(path)?;
    println!("into fresh memory: {:.3} s for {} bytes", start.elapsed().as_secs_f64(), bytes.len());
    Ok(())
}

fn compare() -> Outcome {
    let (folder, program) = (tempfile::tempdir()?, std::env::current_exe()?);
    let path = folder.path().join("model.safetensors");
    let run = |command: &str| -> Outcome {
        if Command::new(&program).arg(command).arg(&path).status()?.success() {
            Ok(())
        } else {
            Err("it failed".into())
        }
    };
    run("write")?;
    println!("{:.0} MB of parameters", fs::metadata(&path)?.len() as f64 / 1e6);
    for _ in 0..3 {
        println!("read once: {:.3} s", read_once(&path)?);
        run("read")?;
        run("load")?;
    }
    Ok(())
}
