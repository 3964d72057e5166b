//! `m3ae info` and `m3ae convert`.

use crate::{fails, golden, succeeds};

#[test]
fn a_checkpoint_becomes_a_folder_that_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = golden("fixture").join("m3ae.ckpt").display().to_string();
    let text = succeeds(folder.path(), &["info", &fixture]);
    assert!(text.contains("PyTorch-Lightning") && text.contains("heads     mlm, mim, itm, vqa, cls, irtr"), "{text}");

    let printed = succeeds(folder.path(), &["convert", &fixture, "--out", "model"]);
    assert!(printed.contains("299 parameters loaded"), "{printed}");
    let text = succeeds(folder.path(), &["info", "model"]);
    assert!(text.contains("heads     mlm, mim, itm, vqa, cls, irtr"), "{text}");

    // Nothing that exists is overwritten, and what is no checkpoint is said to be none.
    assert!(fails(folder.path(), &["convert", &fixture, "--out", "model"]).contains("model"));
    assert!(fails(folder.path(), &["info", "nowhere"]).contains("nowhere"));
    std::fs::write(folder.path().join("notes.txt"), "some notes about a model").unwrap();
    assert!(fails(folder.path(), &["info", "notes.txt"]).contains("notes.txt"));
}
