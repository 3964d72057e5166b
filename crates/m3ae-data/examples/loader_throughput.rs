//! Images per second: decoding and transforming on one core, and the loader with one and two workers.
//!
//! ```text
//! cargo run --release -p m3ae-data --example loader_throughput -- ../shared/data/vqa_rad/images
//! ```
//!
//! On Linux the first numbers count the thread's own time on a core, so that other load does not spoil them.

use m3ae_data::{CaptionSample, ClipTransform, DecodeOptions, Loader, LoaderConfig, decode};
use m3ae_text::Tokenizer;
use std::{
    error::Error,
    fs,
    path::PathBuf,
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
    let folder = std::env::args().nth(1).ok_or("say which folder has the images")?;
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
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
