use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::is_complete;

fn small() -> PhantomConfig {
    PhantomConfig {
        side: 32,
        train: 9,
        val: 3,
        test: 4,
        vqa_train: 5,
        vqa_val: 2,
        vqa_test: 3,
        captions_per_image: 2,
        ..PhantomConfig::default()
    }
}

/// Every file under `root` with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn generated(config: &PhantomConfig, threads: usize) -> (PhantomReport, BTreeMap<PathBuf, Vec<u8>>) {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("new/phantom");
    let report = generate_on(config, &out, threads).unwrap();
    (report, files(&out))
}

fn records(files: &BTreeMap<PathBuf, Vec<u8>>, name: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
    serde_json::from_slice(&files[Path::new("vqa_rad").join(name).as_path()]).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let one = generated(&small(), 1);
    assert_eq!(one, generated(&small(), 3));
    assert_eq!(one, generated(&small(), 64));
    assert_ne!(one.1, generated(&PhantomConfig { seed: 1, ..small() }, 1).1);
}

#[test]
fn an_image_does_not_depend_on_how_many_others_are_made() {
    let (_, few) = generated(&small(), 2);
    let (_, many) = generated(&PhantomConfig { train: 12, vqa_train: 8, captions_per_image: 3, ..small() }, 2);
    let mut images = 0;
    for (path, bytes) in few.iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "jpg")) {
        assert_eq!(many.get(path), Some(bytes), "{}", path.display());
        images += 1;
    }
    assert_eq!(images, 26);
}

#[test]
fn the_folder_has_the_layouts_of_roco_and_vqa_rad() {
    let (report, files) = generated(&small(), 2);
    let expected = PhantomReport {
        captioned_images: 16,
        captions: 32,
        vqa_images: 10,
        questions: 60,
        normal_images: report.normal_images,
    };
    assert_eq!(report, expected);
    let mut ids = BTreeSet::new();
    for (split, count) in [("train", 9), ("val", 3), ("test", 4)] {
        let folder = Path::new("roco").join(split).join("radiology");
        let lines = String::from_utf8(files[&folder.join("captions.txt")].clone()).unwrap();
        assert_eq!(lines.lines().count(), 2 * count);
        let of_split: BTreeSet<&str> = lines.lines().map(|line| line.split_once('\t').unwrap().0).collect();
        assert_eq!(of_split.len(), count);
        for id in of_split {
            assert!(ids.insert(id.to_owned()), "{id} is in two splits");
            let image = image::load_from_memory(&files[&folder.join("images").join(format!("{id}.jpg"))]).unwrap();
            assert_eq!((image.width(), image.height(), image.color()), (32, 32, image::ColorType::L8));
        }
    }
    let mut qids = BTreeSet::new();
    for (name, count) in [("trainset.json", 5), ("valset.json", 2), ("testset.json", 3)] {
        let records = records(&files, name);
        assert_eq!(records.len(), 6 * count);
        let mut of_split = BTreeSet::new();
        for record in records {
            let keys: BTreeSet<&str> = record.keys().map(String::as_str).collect();
            let expected = [
                "answer",
                "answer_type",
                "image_name",
                "image_organ",
                "phrase_type",
                "qid",
                "question",
                "question_type",
            ];
            assert_eq!(keys, BTreeSet::from(expected));
            assert!(qids.insert(record["qid"].as_u64().unwrap()));
            let text = |key: &str| record[key].as_str().unwrap().to_owned();
            assert!(["HEAD", "CHEST", "ABD"].contains(&text("image_organ").as_str()));
            assert!(["OPEN", "CLOSED"].contains(&text("answer_type").as_str()));
            let image = text("image_name");
            assert!(files.contains_key(Path::new("vqa_rad/images").join(&image).as_path()), "{image}");
            of_split.insert(image.trim_end_matches(".jpg").to_owned());
        }
        assert_eq!(of_split.len(), count);
        for id in of_split {
            assert!(ids.insert(id.clone()), "{id} is in two splits");
        }
    }
    // One truth per image, which draws that image.
    let truths = String::from_utf8(files[Path::new(TRUTHS)].clone()).unwrap();
    let truths: Vec<Truth> = truths.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(truths.iter().map(|truth| truth.id.clone()).collect::<BTreeSet<_>>(), ids);
    assert_eq!(truths.len(), 26);
    assert_eq!(truths.iter().filter(|truth| truth.finding.is_none()).count(), report.normal_images);
    assert_eq!(truths[0], Truth::draw(0, "phantom-train-00001"));
}

#[test]
fn a_set_is_complete_for_its_own_config_alone() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("phantom");
    assert!(!is_complete(&small(), &out).unwrap());
    generate(&small(), &out).unwrap();
    assert!(is_complete(&small(), &out).unwrap());
    assert!(!is_complete(&PhantomConfig { seed: 1, ..small() }, &out).unwrap());
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn refuses_a_folder_that_is_not_empty() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("mine.txt"), "mine").unwrap();
    assert!(matches!(generate(&small(), out.path()), Err(PhantomError::NotEmpty { .. })));
    assert_eq!(files(out.path()), BTreeMap::from([(PathBuf::from("mine.txt"), b"mine".to_vec())]));
}

#[test]
fn fills_a_folder_that_is_empty() {
    let out = tempfile::tempdir().unwrap();
    generate(&small(), out.path()).unwrap();
    assert!(is_complete(&small(), out.path()).unwrap());
}

#[test]
fn what_a_killed_process_left_is_cleared() {
    let parent = tempfile::tempdir().unwrap();
    let left = parent.path().join(format!(".phantom.partial-{}-0", std::process::id()));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("half"), "half").unwrap();
    let out = parent.path().join("phantom");
    generate(&small(), &out).unwrap();
    assert!(is_complete(&small(), &out).unwrap());
    assert!(!left.exists());
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("phantom");
    // A name too long for the file system to rename to once the partial folder's additions are made.
    let long = parent.path().join("x".repeat(250));
    assert!(matches!(generate(&small(), &long), Err(PhantomError::Files(_))));
    assert!(matches!(generate(&small(), &out.join("..")), Err(PhantomError::NotAFolder { .. })));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn refuses_what_is_no_folder() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(matches!(generate(&small(), &file), Err(PhantomError::NotAFolder { .. })));
    assert!(matches!(generate(&small(), &file.join("below")), Err(PhantomError::Io { .. })));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_bad_config_writes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let config = PhantomConfig { side: 8, ..small() };
    assert!(matches!(generate(&config, &parent.path().join("a/b")), Err(PhantomError::Config { .. })));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn an_error_of_one_image_is_reported_and_stops_the_rest() {
    let jobs = jobs(&small());
    let made = AtomicUsize::new(0);
    let failing = |job: &Job| {
        made.fetch_add(1, Ordering::Relaxed);
        if job.id.ends_with("00002") { Err(PhantomError::NotEmpty { path: job.id.clone().into() }) } else { Ok(()) }
    };
    match run(&jobs, 1, failing) {
        Err(PhantomError::NotEmpty { path }) => assert_eq!(path, Path::new("phantom-train-00002")),
        other => panic!("{other:?}"),
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
}
