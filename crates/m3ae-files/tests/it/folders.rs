use std::fs;

use m3ae_files::{FilesError, clear_leftovers, hash_file, remove_folder, replace_folder, write_folder};

use crate::names;

#[test]
fn a_folder_appears_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model");
    let source = place.path().join("tokenizer.json");
    fs::write(&source, "{}").unwrap();
    let hashes = write_folder(&path, |folder| {
        folder.write("config.json", b"three")?;
        folder.copy("tokenizer.json", &source)?;
        fs::create_dir(folder.path().join("images")).unwrap();
        fs::write(folder.path().join("images/a.png"), "pixels").unwrap();
        assert!(!path.exists(), "not before everything is in it");
        Ok::<_, FilesError>(folder.hashes().clone())
    });
    let hashes = hashes.unwrap();
    assert_eq!(names(&path), ["config.json", "images", "tokenizer.json"]);
    assert_eq!(hashes.keys().collect::<Vec<_>>(), ["config.json", "tokenizer.json"]);
    assert_eq!(hashes["tokenizer.json"], hash_file(&source).unwrap());
    assert_eq!(names(place.path()), ["model", "tokenizer.json"]);
}

#[test]
fn a_failed_folder_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model");
    let failed = write_folder(&path, |folder| {
        folder.write("config.json", b"{}")?;
        folder.copy("tokenizer.json", &place.path().join("nowhere.json"))
    });
    assert!(failed.unwrap_err().to_string().contains("nowhere.json"));
    assert!(names(place.path()).is_empty());
    for name in ["", "..", "a/b", "/etc/passwd"] {
        let failed = write_folder(&path, |folder| folder.write(name, b"x"));
        assert!(matches!(failed, Err(FilesError::NoName { .. })), "{name:?}");
    }
    assert!(names(place.path()).is_empty());
}

#[test]
fn a_taken_place_is_refused_and_an_empty_folder_is_filled() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model");
    let write = || write_folder(&path, |folder| folder.write("a", b"new"));
    fs::create_dir(&path).unwrap();
    write().unwrap();
    let error = write().unwrap_err();
    assert!(matches!(&error, FilesError::Exists { path: taken } if *taken == path), "{error}");
    assert_eq!(fs::read(path.join("a")).unwrap(), b"new");

    // Someone takes the place while the folder is filled.
    let late = place.path().join("late");
    let written = write_folder(&late, |folder| {
        fs::create_dir(&late).unwrap();
        fs::write(late.join("precious"), "theirs").unwrap();
        folder.write("a", b"ours")
    });
    assert!(matches!(written, Err(FilesError::Exists { .. })));
    assert_eq!(names(&late), ["precious"]);
    assert_eq!(names(place.path()), ["late", "model"]);
}

#[test]
fn a_folder_is_replaced_only_by_a_complete_one() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("step-000400");
    replace_folder(&path, |folder| folder.write("a", b"first")).unwrap();
    let failed = replace_folder(&path, |folder| {
        folder.write("a", b"second")?;
        Err::<(), _>(FilesError::NoName { path: "x".into() })
    });
    failed.unwrap_err();
    assert_eq!(fs::read(path.join("a")).unwrap(), b"first");
    replace_folder(&path, |folder| folder.write("b", b"third")).unwrap();
    assert_eq!(names(&path), ["b"]);
    assert_eq!(names(place.path()), ["step-000400"]);
    remove_folder(&path).unwrap();
    assert!(names(place.path()).is_empty());
    assert!(remove_folder(&path).unwrap_err().to_string().contains("step-000400"));
    assert!(names(place.path()).is_empty());
}

#[test]
fn leftovers_go_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    for folder in
        [".model.4711.part", ".step-000400.part", ".step-000200.old", ".best-000100.a1B2c3.old", "step-000100"]
    {
        fs::create_dir(place.path().join(folder)).unwrap();
        fs::write(place.path().join(folder).join("model.safetensors"), "half").unwrap();
    }
    for file in [
        ".report.html.x1Y2z3.part",
        ".a.arrow.partial",
        ".model.a1B2c3.part.lock",
        ".notes.old",
        "config.toml",
        ".lock",
    ] {
        fs::write(place.path().join(file), "text").unwrap();
    }
    let removed = clear_leftovers(place.path()).unwrap();
    assert_eq!(removed.len(), 7, "{removed:?}");
    assert_eq!(names(place.path()), [".lock", ".notes.old", "config.toml", "step-000100"]);
    assert!(clear_leftovers(&place.path().join("nowhere")).unwrap().is_empty());
}

#[test]
fn writing_a_folder_again_clears_what_a_killed_process_left_of_it() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join(".model.4711.part")).unwrap();
    fs::create_dir(place.path().join(".other.4711.part")).unwrap();
    write_folder(&place.path().join("model"), |folder| folder.write("a", b"x")).unwrap();
    assert_eq!(names(place.path()), [".other.4711.part", "model"]);
}
