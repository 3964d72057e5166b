//! One image's way into a batch: decoding, resampling, normalising. With the build that the tests have:
//!
//! ```text
//! cargo bench --profile dev --bench images
//! ```

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark: criterion's macros, and nothing to recover to")]

use std::{hint::black_box, io::Cursor};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use image::{ImageFormat, Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use m3ae_image::{ClipTransform, DecodeOptions, Transform, decode_bytes};
use m3ae_random::{Key, Stream};

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
    group.finish();
}

criterion_group!(benches, images);
criterion_main!(benches);
