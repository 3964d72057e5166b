//! Damaged and hostile files: a typed error that names the file, never a panic, never execution, memory bounded.

use std::fs;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use m3ae_weights::{Checkpoint, WeightsError, info, load, load_clip, load_text};
use safetensors::Dtype;
use zip::CompressionMethod;

use crate::config;
use crate::craft::{self, Piece};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Opens and reads everything that can be read.
fn exhaust(path: &Path) -> Result<(), WeightsError> {
    let checkpoint = Checkpoint::open(path)?;
    for name in checkpoint.names() {
        if checkpoint.dtype(name).is_some_and(|dtype| dtype.is_float()) {
            checkpoint.values(name)?;
        }
    }
    let _ = info(path)?.to_string();
    Ok(())
}

fn refused(path: &Path, expected: &str) {
    let error = exhaust(path).unwrap_err().to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(error.contains(expected), "{name}: {error}");
    assert!(error.contains(name), "names the file: {error}");
}

/// `os.system("touch …")` in pickle.
fn system(file: &Path) -> Vec<u8> {
    let command = craft::text(&format!("touch {}", file.display()));
    [b"cos\nsystem\n(".to_vec(), command, b"tR".to_vec()].concat()
}

fn sample() -> Vec<Piece> {
    vec![Piece::f32("a.weight", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), Piece::half("a.bias", &[2], &[0.5, -0.5])]
}

#[test]
fn a_pickle_that_calls_the_system_runs_nothing() {
    let place = Place::new();
    let evidence = place.at("evidence");
    let evil = system(&evidence);
    craft::write_pickle(&place.at("root.pt"), &evil, &[]);
    refused(&place.at("root.pt"), "");
    fs::write(place.at("bare.pt"), craft::pickle(&evil)).unwrap();
    refused(&place.at("bare.pt"), "starts like none");
    craft::write_torchscript_of(&place.at("script.pt"), &evil, &[]);
    refused(&place.at("script.pt"), "names os.system");

    // Beside real weights it stays an object that nobody understands.
    let entries = [
        ("state_dict".to_owned(), craft::tensors(&sample(), false)),
        ("callbacks".to_owned(), evil.clone()),
        ("hyper_parameters".to_owned(), craft::dict([("config".to_owned(), evil)])),
    ];
    craft::write_pickle(&place.at("weights.ckpt"), &craft::dict(entries), &sample());
    exhaust(&place.at("weights.ckpt")).unwrap();
    assert!(!evidence.exists());
}

#[test]
fn storages_out_of_range_are_refused() {
    let place = Place::new();
    type Write = fn(&Path, &[Piece]);
    let writers: [(&str, Write); 3] = [
        ("zip.pt", |path, pieces| craft::write_torch(path, pieces)),
        ("legacy.pt", |path, pieces| craft::write_legacy(path, pieces)),
        ("script.pt", |path, pieces| craft::write_torchscript(path, pieces)),
    ];
    let good = Piece::f32("w", &[4], &[0.0; 4]);
    for (name, write) in writers {
        for piece in [
            Piece { shape: vec![5], ..good.clone() },
            Piece { offset: 1, ..good.clone() },
            Piece { stride: vec![2], ..good.clone() },
            Piece { stride: vec![i32::MAX as usize], ..good.clone() },
            Piece { shape: vec![i32::MAX as usize; 3], stride: vec![i32::MAX as usize; 3], ..good.clone() },
            Piece { stride: vec![1, 1], ..good.clone() },
            Piece { declared: 1 << 30, shape: vec![1 << 30], ..good.clone() },
            // A view that repeats one element to fill memory.
            Piece { shape: vec![1 << 20, 1 << 10], stride: vec![0, 0], ..good.clone() },
        ] {
            write(&place.at(name), std::slice::from_ref(&piece));
            assert!(exhaust(&place.at(name)).is_err(), "{name}: {:?} {:?}", piece.shape, piece.stride);
        }
        // The pickle promises more than the file has.
        let short = Piece { declared: 400, shape: vec![400], ..good.clone() };
        write(&place.at(name), &[short]);
        refused(&place.at(name), "");
    }
}

#[test]
fn memo_bombs_and_deep_nesting_are_refused() {
    let place = Place::new();
    // Each level holds the one below twice: 2^60 leaves.
    let (mut lists, mut dicts) = (b"]q\x00".to_vec(), b"}q\x00".to_vec());
    for level in 0..60_u8 {
        lists.extend([b'(', b'h', level, b'h', level, b't', b'q', level + 1]);
        dicts.extend(
            [b"}(".to_vec(), craft::text("a"), vec![b'h', level], craft::text("b"), vec![b'h', level]].concat(),
        );
        dicts.extend([b'u', b'q', level + 1]);
    }
    craft::write_pickle(&place.at("lists.pt"), &craft::dict([("a".into(), lists)]), &[]);
    refused(&place.at("lists.pt"), "");
    craft::write_torchscript_of(&place.at("dicts.pt"), &dicts, &[]);
    refused(&place.at("dicts.pt"), "");

    let depth = 100_000;
    let open = [b"}".to_vec(), craft::text("a")].concat().repeat(depth);
    let nested = [open, b"}".to_vec(), b"s".repeat(depth)].concat();
    craft::write_pickle(&place.at("deep.pt"), &nested, &[]);
    refused(&place.at("deep.pt"), "");
    craft::write_torchscript_of(&place.at("deep-script.pt"), &nested, &[]);
    refused(&place.at("deep-script.pt"), "nested more than 64 deep");
    fs::write(
        place.at("deep-legacy.pt"),
        [craft::pickle(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"), nested].concat(),
    )
    .unwrap();
    refused(&place.at("deep-legacy.pt"), "");
}

#[test]
fn zip_bombs_are_refused_before_they_unpack() {
    let place = Place::new();
    let zeros = vec![0_u8; 32 << 20];
    let bombs = [
        ("storage.pt", vec![("data.pkl", craft::pickle(&craft::tensors(&sample(), false))), ("data/0", zeros.clone())]),
        ("pickle.pt", vec![("data.pkl", zeros.clone())]),
        ("script.pt", vec![("data.pkl", zeros), ("constants.pkl", b"\x80\x02).".to_vec())]),
    ];
    for (name, entries) in bombs {
        let entries: Vec<_> = entries.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        craft::write_zip(&place.at(name), &entries, CompressionMethod::Deflated);
        assert!(fs::metadata(place.at(name)).unwrap().len() < 1 << 20);
        refused(&place.at(name), "would unpack to");
    }
    let large = ("data.pkl".to_owned(), vec![b'N'; (8 << 20) + 1]);
    craft::write_zip(&place.at("large.pt"), std::slice::from_ref(&large), CompressionMethod::Stored);
    refused(&place.at("large.pt"), "at most 8388608 are accepted");
    craft::write_zip(&place.at("large-script.pt"), &[large, ("code/".into(), vec![])], CompressionMethod::Stored);
    refused(&place.at("large-script.pt"), "at most 2097152 are accepted");
}

#[test]
fn safetensors_headers_are_bounded_and_checked() {
    let place = Place::new();
    let path = place.at("weights.safetensors");
    let write = |header: &str, data: usize| {
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat();
        fs::write(&path, bytes).unwrap();
    };
    fs::write(&path, [&(1_u64 << 40).to_le_bytes(), b"{}".as_slice()].concat()).unwrap();
    refused(&path, "claims 1099511627776 bytes; at most");
    fs::write(&path, [&(1_u64 << 20).to_le_bytes(), b"{}".as_slice()].concat()).unwrap();
    refused(&path, "and the file has 10");
    for (header, data, expected) in [
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            4,
            "announces 8 bytes of tensors and 4 are there",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            9,
            "announces 8 bytes of tensors and 9 are there",
        ),
        (r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "damaged safetensors header"),
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "damaged safetensors header"),
        (r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}"#, 0, "damaged"),
        (r#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,18446744073709551615]}}"#, 0, "damaged"),
        (r#"{"a":{"dtype":"Q7","shape":[2],"data_offsets":[0,8]}}"#, 8, "damaged safetensors header"),
        (r#"{"a":["#, 0, "damaged safetensors header"),
        (r#"{"__metadata__":{}}"#, 0, "holds no tensors"),
    ] {
        write(header, data);
        refused(&path, expected);
    }
    write(&format!("{}1", "[".repeat(100_000)).replacen('[', "{\"a\":", 1), 0);
    refused(&path, "damaged safetensors header");
}

/// Every prefix of a small file, and every byte of it changed in three ways.
fn mangle(bytes: &[u8], path: &Path, mut check: impl FnMut(&Path)) {
    for end in 0..bytes.len() {
        fs::write(path, &bytes[..end]).unwrap();
        check(path);
    }
    let mut changed = bytes.to_vec();
    for i in 0..bytes.len() {
        for change in [0x00, 0xff, bytes[i] ^ 0x01] {
            changed[i] = change;
            fs::write(path, &changed).unwrap();
            check(path);
        }
        changed[i] = bytes[i];
    }
}

#[test]
fn no_cut_and_no_changed_byte_makes_a_reader_panic() {
    let place = Place::new();
    craft::write_torch(&place.at("zip.pt"), &sample());
    craft::write_legacy(&place.at("legacy.pt"), &sample());
    craft::write_torchscript(&place.at("script.pt"), &sample());
    craft::write_lightning(&place.at("last.ckpt"), &sample()[..1], vec![("num_heads".into(), craft::int(4))]);
    let data = [("w", Dtype::F32, vec![2, 2], vec![0; 16]), ("b", Dtype::BF16, vec![2], vec![0; 4])];
    craft::write_safetensors(&place.at("model.safetensors"), &data);
    for name in ["zip.pt", "legacy.pt", "script.pt", "last.ckpt", "model.safetensors"] {
        let bytes = fs::read(place.at(name)).unwrap();
        mangle(&bytes, &place.at(name), |path| drop(exhaust(path)));
    }
}

#[test]
fn a_file_cut_after_opening_is_an_error_that_names_tensor_and_file() {
    let place = Place::new();
    let source = config().init(&Device::default()).unwrap();
    let pieces = craft::pieces(&craft::state(&source));
    craft::write_state(&place.at("model.safetensors"), &craft::state(&source));
    craft::write_torch(&place.at("model.pt"), &pieces);
    craft::write_torchscript(&place.at("script.pt"), &pieces);
    for name in ["model.safetensors", "model.pt", "script.pt"] {
        let path = place.at(name);
        let checkpoint = Checkpoint::open(&path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(fs::metadata(&path).unwrap().len() / 2).unwrap();
        let mut model = config().init(&Device::default()).unwrap();
        let error = load(&mut model, &checkpoint).unwrap_err();
        assert!(matches!(error, WeightsError::Tensor { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_damaged_storage_is_caught_by_its_checksum() {
    let place = Place::new();
    let value = 1234.5_f32;
    let piece = [Piece::f32("w", &[4], &[value; 4])];
    craft::write_torch(&place.at("zip.pt"), &piece);
    craft::write_torchscript(&place.at("script.pt"), &piece);
    for name in ["zip.pt", "script.pt"] {
        let mut bytes = fs::read(place.at(name)).unwrap();
        let at = bytes.windows(4).position(|window| window == value.to_le_bytes()).unwrap();
        bytes[at] ^= 1;
        fs::write(place.at(name), bytes).unwrap();
        let error = exhaust(&place.at(name)).unwrap_err();
        assert!(matches!(&error, WeightsError::Tensor { name, .. } if name == "w"), "{error}");
    }
}

#[test]
fn another_architecture_is_refused_by_every_loader() {
    let place = Place::new();
    let path = place.at("resnet.safetensors");
    craft::write_state(&path, &[("layer1.0.conv1.weight".to_owned(), (vec![2], vec![0.0; 2]))].into());
    let checkpoint = Checkpoint::open(&path).unwrap();
    let mut model = config().init(&Device::default()).unwrap();
    let errors = [
        load(&mut model, &checkpoint).unwrap_err(),
        load_clip(&mut model.vision_encoder, &checkpoint).unwrap_err(),
        load_text(&mut model.language_encoder, &checkpoint).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, WeightsError::Mismatch { .. }), "{error}");
        assert!(error.to_string().contains("resnet.safetensors"), "{error}");
    }
}
