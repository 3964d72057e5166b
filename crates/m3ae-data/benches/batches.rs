//! Batches put together from images that are kept, and texts padded. With the build that the tests have:
//!
//! ```text
//! cargo bench --profile dev --bench batches
//! ```

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark: criterion's macros, and nothing to recover to")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::GrayImage;
use m3ae_data::{CaptionSample, Loader, LoaderConfig, pad};
use m3ae_text::Tokenizer;

/// Batches of images that are kept decoded and cropped: what is left is to put them together.
fn batches(criterion: &mut Criterion) {
    const BATCH: usize = 16;
    let folder = tempfile::tempdir().expect("a folder");
    let samples: Vec<CaptionSample> = (0..BATCH)
        .map(|i| {
            let image = folder.path().join(format!("{i}.png"));
            GrayImage::from_pixel(64, 64, [i as u8].into()).save(&image).expect("an image");
            CaptionSample { id: format!("{i}#0"), image, caption: format!("image number {i}") }
        })
        .collect();
    let tokenizer = Tokenizer::train(["image number"], 261).expect("a tokenizer");
    let mut group = criterion.benchmark_group("batches");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    for (side, false_images) in [(288, false), (288, true), (384, false)] {
        let config = LoaderConfig {
            batch_size: BATCH,
            workers: 0,
            side,
            false_images,
            cache_mib: 64,
            ..LoaderConfig::default()
        };
        let loader = Loader::new(&samples, &tokenizer, &config).expect("a loader");
        let batch = || loader.epoch(0, 0).next().expect("a batch").expect("of readable images");
        // Once, to keep them.
        assert_eq!(batch().len(), BATCH);
        let others = if false_images { " and false images" } else { "" };
        group.bench_function(format!("{BATCH} images{others} of {side}"), |bencher| bencher.iter(batch));
    }
    let texts: Vec<Vec<u32>> = (0..32).map(|i| vec![7; 8 + i * 5 % 57]).collect();
    group.bench_function("pad 32 texts", |bencher| bencher.iter(|| pad(black_box(&texts), 1)));
    group.finish();
}

criterion_group!(benches, batches);
criterion_main!(benches);
