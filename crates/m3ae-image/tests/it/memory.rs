//! Decompression bombs under a limit on memory: a child process decodes them with its address space bounded.

use std::{io::Cursor, process::Command};

use image::{GrayImage, ImageFormat};
use m3ae_image::{DecodeOptions, ImageError, decode_bytes};

/// What the child may use, in KiB: a fraction of what any of the bombs inflates to.
const LIMIT_KIB: usize = 400 << 10;
/// What each bomb inflates to.
const BOMB_BYTES: usize = 800 << 20;

#[test]
fn bombs_are_decoded_or_refused_within_a_limit_on_memory() {
    // The child's own allocator would reserve much address space per thread.
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -v {LIMIT_KIB}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "memory::child_decodes_bombs", "--ignored", "--test-threads", "1", "--nocapture"])
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "run by the other test, in a process with little memory"]
fn child_decodes_bombs() {
    // The limit is real.
    assert!(Vec::<u8>::new().try_reserve_exact(LIMIT_KIB << 10).is_err());
    let options = DecodeOptions { max_bytes: 64 << 20, ..DecodeOptions::default() };
    let inflated = zeros(BOMB_BYTES);
    let plain = png(&[], None);
    assert!(decode_bytes(&plain, &options).is_ok());

    // Texts and profiles beside the image: whether they are refused or passed over is the decoder's choice.
    for (kind, head) in [(b"zTXt", &b"Comment\0\0"[..]), (b"iTXt", b"Comment\0\x01\0\0\0"), (b"iCCP", b"Profile\0\0")] {
        let bomb = png(&chunk(kind, &[head, &inflated].concat()), None);
        let result = decode_bytes(&bomb, &options);
        assert!(result.as_ref().map_or_else(|error| !matches!(error, ImageError::Read(_)), |image| image.width() == 3));
    }
    // Image data far beyond the image: no more of it is inflated than the image takes.
    let bomb = png(&[], Some(&inflated));
    assert!(decode_bytes(&bomb, &options).map_or(true, |image| image.bytes().len() == 3 * 2));
    // Headers at the limit's edge over next to no data, and beyond it.
    for side in [8000_u32, 60_000, u32::MAX >> 1] {
        let mut bomb = plain.clone();
        resize(&mut bomb, side);
        assert!(decode_bytes(&bomb, &options).is_err(), "{side}");
    }
    let mut jpeg = Cursor::new(Vec::new());
    GrayImage::new(8, 8).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    // Baseline and progressive: the latter keeps all coefficients.
    for kind in [0xC0, 0xC2] {
        for side in [7000_u16, 60_000] {
            let mut bomb = jpeg.clone();
            bomb[frame + 1] = kind;
            bomb[frame + 5..frame + 7].copy_from_slice(&side.to_be_bytes());
            bomb[frame + 7..frame + 9].copy_from_slice(&side.to_be_bytes());
            // Within the limits a decoder may fill what is missing; it must not take more than they allow.
            let result = decode_bytes(&bomb, &options);
            assert!(side < 8000 || matches!(result, Err(ImageError::TooLarge { .. })), "{kind:x} {side}");
        }
    }
}

/// A grey PNG of 3×2 pixels with more chunks behind its header, and other image data where given.
fn png(more: &[u8], data: Option<&[u8]>) -> Vec<u8> {
    let header = [&3_u32.to_be_bytes()[..], &2_u32.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let own = zeros(2 * 4);
    [
        b"\x89PNG\r\n\x1A\n",
        chunk(b"IHDR", &header).as_slice(),
        more,
        &chunk(b"IDAT", data.unwrap_or(&own)),
        &chunk(b"IEND", &[]),
    ]
    .concat()
}

/// Another size for a PNG.
fn resize(png: &mut [u8], side: u32) {
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    [&(data.len() as u32).to_be_bytes()[..], &body, &crc32(&body).to_be_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
    let table: Vec<u32> = (0..256).map(|value| (0..8).fold(value, step)).collect();
    !bytes.iter().fold(!0, |crc: u32, &byte| (crc >> 8) ^ table[(crc as u8 ^ byte) as usize])
}

/// A zlib stream of `count` zero bytes: one literal and then matches of 258 at distance 1, 13 bits each.
fn zeros(count: usize) -> Vec<u8> {
    let mut stream = vec![0x78, 0x9C];
    let (mut held, mut bits) = (0_u32, 0);
    let mut put = |value: u32, length: u32| {
        held |= value << bits;
        bits += length;
        while bits >= 8 {
            stream.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    };
    // The last block, with fixed codes. Codes stand in it from their highest bit on.
    put(0b011, 3);
    let literals = 1 + (count - 1) % 258;
    for _ in 0..literals {
        put(0b0000_1100, 8);
    }
    for _ in 0..(count - 1) / 258 {
        put(0b1010_0011, 8);
        put(0, 5);
    }
    put(0, 7);
    put(0, 7);
    stream.extend((((count % 65_521) as u32) << 16 | 1).to_be_bytes());
    stream
}
