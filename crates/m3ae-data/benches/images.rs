//! One image's way into a batch: decoding, resampling, normalising, and padding the texts; and the batch put together. With the build
//! that the tests have:
//!
//! ```text
//! cargo bench --profile dev --bench images
//! ```

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark: criterion's macros, and nothing to recover to")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use image::{ImageFormat, Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use m3ae_data::{ClipTransform, DecodeOptions, Loader, LoaderConfig, Transform, decode_bytes, pad, phantom, read_roco};
use m3ae_phantom::PhantomConfig;
use m3ae_random::{Key, Stream};
use m3ae_text::Tokenizer;
use std::{hint::black_box, io::Cursor};

/// A picture of a radiograph's usual size, smooth with some noise.
fn picture() -> RgbImage {
    RgbImage::from_fn(1024, 880, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 29;
        let value = (x / 6 + y / 9 + noise) as u8;
        Rgb([value, value, value.wrapping_add(u8::from(x > 900))])
    })
}

fn images(criterion: &mut Criterion) {
    let (mut jpeg, mut png) = (Vec::new(), Cursor::new(Vec::new()));
    JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&picture()).expect("a JPEG");
    picture().write_to(&mut png, ImageFormat::Png).expect("a PNG");
    let options = DecodeOptions::default();
    let mut group = criterion.benchmark_group("images");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    for (name, bytes) in [("decode jpeg 1024×880", &jpeg), ("decode png 1024×880", png.get_ref())] {
        group.bench_function(name, |bencher| bencher.iter(|| decode_bytes(black_box(bytes), &options).expect(name)));
    }
    let image = decode_bytes(&jpeg, &options).expect("an image");
    for side in [288, 384] {
        let clip = ClipTransform::new(side).expect("a side");
        for transform in Transform::ALL {
            group.bench_function(format!("{transform} to {side}"), |bencher| {
                let generator = || Key { seed: 0, epoch: 0, sample: "a", stream: Stream::Augmentation }.generator();
                let crop = |mut generator| transform.crop(&clip, black_box(&image), &mut generator);
                bencher.iter_batched(generator, crop, BatchSize::SmallInput);
            });
        }
        let crop = clip.crop(&image);
        let mut values = Vec::with_capacity(3 * side * side);
        group.bench_function(format!("normalise {side}"), |bencher| {
            bencher.iter(|| {
                values.clear();
                black_box(&crop).normalise_into(&mut values);
            });
        });
    }
    let texts: Vec<Vec<u32>> = (0..32).map(|i| vec![7; 8 + i * 5 % 57]).collect();
    group.bench_function("pad 32 texts", |bencher| bencher.iter(|| pad(black_box(&texts), 1)));
    group.finish();
}

/// Batches of images that are kept decoded and cropped: what is left is to put them together.
fn batches(criterion: &mut Criterion) {
    const BATCH: usize = 16;
    let folder = tempfile::tempdir().expect("a folder");
    let config = PhantomConfig { side: 64, train: BATCH, vqa_train: 1, ..PhantomConfig::default() };
    let set = phantom::ensure(&folder.path().join("set"), &config).expect("the synthetic set");
    let captions = read_roco(&set.roco, "train").expect("captions");
    let tokenizer = Tokenizer::load(&set.tokenizer).expect("its tokenizer");
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
        let loader = Loader::new(&captions.samples, &tokenizer, &config).expect("a loader");
        let batch = || loader.epoch(0, 0).next().expect("a batch").expect("of readable images");
        // Once, to keep them.
        assert_eq!(batch().len(), BATCH);
        let others = if false_images { " and false images" } else { "" };
        group.bench_function(format!("{BATCH} images{others} of {side}"), |bencher| bencher.iter(batch));
    }
    group.finish();
}

criterion_group!(benches, images, batches);
criterion_main!(benches);
