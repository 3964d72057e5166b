//! `m3ae-lab parity` on outputs of the reference implementation. `tests/golden/fixture` is such a folder at small size.

use std::fs;
use std::path::Path;

use crate::locate::{golden, larger_golden};
use crate::{fails, succeeds};

/// A copy of the fixture that may be damaged.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixture = golden("fixture");
    for name in ["m3ae.ckpt", "config.json", "expected.json", "io.safetensors", "roberta-tiny/config.json"] {
        let to = folder.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture.join(name), to).unwrap();
    }
    folder
}

fn parity(folder: &Path, args: &[&str]) -> String {
    let path = folder.display().to_string();
    succeeds(folder, &[&["parity", &path], args].concat())
}

#[test]
fn outputs_losses_gradients_and_trajectories_agree_with_the_reference() {
    let table = parity(&golden("fixture"), &[]);
    for name in [
        "vision_features ",
        "mlm_logits ",
        "mim_ids_restore ",
        "loss irtr ",
        "grad norms mim",
        "pretrain: losses of 12",
    ] {
        assert!(table.contains(name), "{name} is missing:\n{table}");
    }
    assert!(table.contains("all within tolerance") && !table.contains("FAILED"), "{table}");
}

#[test]
fn a_model_with_bert_and_patches_of_32_agrees_too() {
    assert!(parity(&golden("bert"), &[]).contains("82 comparisons, all within tolerance"));
}

#[test]
fn the_larger_folders_agree_too() {
    for (name, comparisons) in [("tiny", 91), ("bert", 88), ("vqa_rad_small", 18)] {
        let Some(folder) = larger_golden(&format!("golden/{name}")) else { return };
        assert!(parity(&folder, &[]).contains(&format!("{comparisons} comparisons, all within tolerance")));
    }
}

#[test]
fn a_wrong_value_fails_and_is_named() {
    let folder = copy();
    // The last tensor in alphabetical order lies at the end of the file: vqa_logits, then vqa_labels' eight-byte
    // integers come first, so the last four bytes are a logit.
    let path = folder.path().join("io.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&9.0_f32.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let arg = folder.path().display().to_string();
    let error = fails(folder.path(), &["parity", &arg, "--forward-only"]);
    assert!(error.contains("1 of 42 comparisons failed"), "{error}");
}

#[test]
fn a_folder_that_is_no_fixture_says_what_is_missing() {
    let folder = copy();
    let arg = folder.path().display().to_string();
    assert!(fails(folder.path(), &["parity", "nowhere"]).contains("nowhere: no such folder"));
    fs::remove_file(folder.path().join("m3ae.ckpt")).unwrap();
    assert!(fails(folder.path(), &["parity", &arg]).contains("m3ae.ckpt"));
    fs::write(folder.path().join("m3ae.ckpt"), b"not a checkpoint, but long enough to look at").unwrap();
    assert!(fails(folder.path(), &["parity", &arg]).contains("not a readable checkpoint"));
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert!(fails(folder.path(), &["parity", &arg]).contains("missing field"));
}
