//! Images per second: decoding and transforming on one core, and the loader with one and two workers; megabytes per second:
//! preparation, and a plain copy to compare with. Of VQA-RAD, or any set in its layout:
//!
//! ```text
//! cargo run --release -p m3ae-data --example throughput -- ../shared/data/vqa_rad
//! ```
//!
//! On Linux the first numbers count the thread's own time on a core, so that other load does not spoil them.

use m3ae_data::{
    CaptionSample, ClipTransform, DecodeOptions, Loader, LoaderConfig, decode,
    prepare::{PrepareOptions, SetName, plan, prepare},
};
use m3ae_text::Tokenizer;
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// This thread's time on a core, where the system tells.
fn core_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// How long something takes: on a core if known, else by the clock.
fn measure<T>(mut work: impl FnMut() -> Result<T, Box<dyn Error>>) -> Result<(T, Duration), Box<dyn Error>> {
    let (clock, core) = (Instant::now(), core_time());
    let result = work()?;
    let elapsed = core.zip(core_time()).map_or_else(|| clock.elapsed(), |(before, after)| after - before);
    Ok((result, elapsed))
}

fn main() -> Result<(), Box<dyn Error>> {
    let raw = PathBuf::from(std::env::args().nth(1).ok_or("say which folder has the set")?);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(raw.join("images"))?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    paths.sort();
    let options = DecodeOptions::default();
    let count = paths.len() as f64;
    // Once for the file cache.
    let bytes: u64 = paths.iter().map(|path| fs::read(path).map(|bytes| bytes.len() as u64)).sum::<Result<_, _>>()?;
    println!("{count} images, {:.1} MB", bytes as f64 / 1e6);
    let (images, time) =
        measure(|| Ok(paths.iter().map(|path| decode(path, &options)).collect::<Result<Vec<_>, _>>()?))?;
    println!("decode: {:.0} images/s/core", count / time.as_secs_f64());
    for side in [288, 384] {
        let clip = ClipTransform::new(side)?;
        let (_, transform) = measure(|| Ok(images.iter().map(|image| clip.apply(image)[0]).sum::<f32>()))?;
        let both = (transform + time).as_secs_f64();
        println!(
            "S={side}: transform {:.0}, decode + transform {:.0} images/s/core",
            count / transform.as_secs_f64(),
            count / both
        );
    }
    drop(images);
    load(&paths)?;
    write(&raw)
}

/// The loader's images per second.
fn load(paths: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let tokenizer = Tokenizer::train(["image"], 261)?;
    let sample = |(number, image): (usize, &PathBuf)| CaptionSample {
        id: number.to_string(),
        image: image.clone(),
        caption: "image".into(),
    };
    let samples: Vec<CaptionSample> = paths.iter().enumerate().map(sample).collect();
    for side in [288, 384] {
        for workers in [1, 2] {
            let config = LoaderConfig {
                side,
                workers,
                cache_mib: 0,
                false_images: false,
                drop_last: false,
                ..LoaderConfig::default()
            };
            let loader = Loader::new(&samples, &tokenizer, &config)?;
            let clock = Instant::now();
            let mut loaded = 0;
            for batch in loader.epoch(0, 0) {
                loaded += batch?.len();
            }
            println!(
                "S={side}, {workers} workers: {:.0} images/s by the clock",
                f64::from(loaded as u32) / clock.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}

/// Preparation's megabytes of images per second, and what copying them takes: the best of three each.
fn write(raw: &Path) -> Result<(), Box<dyn Error>> {
    let out = tempfile::tempdir()?;
    let options = PrepareOptions::default();
    let rows: Vec<PathBuf> = plan(SetName::VqaRad, raw, &options)?
        .into_iter()
        .flat_map(|plan| plan.splits)
        .flat_map(|split| split.rows)
        .map(|row| row.image)
        .collect();
    let bytes: u64 = rows.iter().map(|path| Ok(fs::metadata(path)?.len())).sum::<Result<_, std::io::Error>>()?;
    let (mut copy, mut prepared) = (Duration::MAX, Duration::MAX);
    for trial in 0..3 {
        let target = out.path().join(format!("copy{trial}"));
        fs::create_dir(&target)?;
        let clock = Instant::now();
        for (number, path) in rows.iter().enumerate() {
            fs::copy(path, target.join(number.to_string()))?;
        }
        copy = copy.min(clock.elapsed());
        let clock = Instant::now();
        prepare(SetName::VqaRad, raw, &out.path().join(format!("arrow{trial}")), &options, &mut |_| {})?;
        prepared = prepared.min(clock.elapsed());
    }
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!("prepare (hashed, flushed to the disk): {:.0} MB/s; copy: {:.0} MB/s", rate(prepared), rate(copy));
    Ok(())
}
