use std::fs;
use std::io::Write;

use m3ae_files::{FileHash, FilesError, HashingWriter, NewFile, hash_file, write, write_file};

use crate::names;

#[test]
fn a_file_is_replaced_whole_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    write(&path, b"first").unwrap();
    write(&path, b"2nd").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"2nd");
    assert_eq!(names(folder.path()), ["report.html"]);
}

#[test]
fn a_failed_write_leaves_the_existing_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    write(&path, b"first").unwrap();
    let failed = write_file(&path, |file| {
        file.write_all(b"half of the sec").map_err(FilesError::io("write", &path))?;
        Err(FilesError::NoName { path: "the caller's own error".into() })
    });
    assert!(failed.unwrap_err().to_string().contains("the caller's own error"));
    let mut dropped = NewFile::create(&path).unwrap();
    dropped.write_all(b"never committed").unwrap();
    drop(dropped);
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(folder.path()), ["report.html"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    // A folder has the name: the rename fails, after everything was written.
    let path = folder.path().join("taken");
    fs::create_dir_all(path.join("inside")).unwrap();
    let error = write(&path, b"text").unwrap_err().to_string();
    assert!(error.contains("taken"), "{error}");
    assert_eq!(names(folder.path()), ["taken"]);
    let error = write(&folder.path().join("missing/file"), b"text").unwrap_err().to_string();
    assert!(error.contains("missing/file"), "{error}");
    assert!(matches!(write(&folder.path().join(".."), b"text"), Err(FilesError::NoName { .. })));
}

#[test]
fn a_file_is_hashed_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let content: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
    let hash = write_file(&path, |file| {
        content.chunks(70_001).try_for_each(|chunk| file.write_all(chunk)).map_err(FilesError::io("write", &path))
    });
    let hash: FileHash = hash.unwrap();
    assert_eq!(hash, FileHash { bytes: 3_000_001, blake3: blake3::hash(&content).to_hex().to_string() });
    assert_eq!(hash, hash_file(&path).unwrap());
    assert_eq!(
        serde_json::to_string(&FileHash { bytes: 1, blake3: "ab".into() }).unwrap(),
        r#"{"bytes":1,"blake3":"ab"}"#,
        "manifests hold it"
    );
    assert!(hash_file(&folder.path().join("nowhere")).unwrap_err().to_string().contains("nowhere"));
}

#[test]
fn only_what_was_accepted_is_hashed() {
    let mut room = [0; 3];
    let mut writer = HashingWriter::new(&mut room[..]);
    assert_eq!(writer.write(b"abcdef").unwrap(), 3);
    assert_eq!(writer.finish().1, FileHash { bytes: 3, blake3: blake3::hash(b"abc").to_hex().to_string() });
}

#[cfg(unix)]
#[test]
fn a_file_can_be_read_by_those_who_can_read_other_new_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plain"), b"").unwrap();
    write(&folder.path().join("ours"), b"").unwrap();
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("ours"), mode("plain"));
}
