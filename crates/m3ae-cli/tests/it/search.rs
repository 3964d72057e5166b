//! `m3ae retrieve`, `reconstruct`, `embed`, and retrieval and classification in `m3ae eval`, with tiny models.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

use crate::pretrain::TINY;
use crate::{fails, succeeds};

/// A folder with a tiny pre-trained model (`runs/tiny`) and its synthetic set (`phantom`), made once.
fn pretrained() -> &'static Path {
    // Nobody drops a static: a fixed place is cleaned by the next run instead.
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pretrained");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("tiny.toml"), TINY).unwrap();
        succeeds(&folder, &["pretrain", "--config", "tiny.toml", "--set", "phantom.test=6"]);
        folder
    });
    &FOLDER
}

const MODEL: [&str; 2] = ["--checkpoint", "runs/tiny/model"];
const IMAGES: &str = "phantom/roco/test/radiology/images";

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The test images in order.
fn images() -> Vec<PathBuf> {
    let mut images: Vec<_> =
        fs::read_dir(pretrained().join(IMAGES)).unwrap().map(|entry| entry.unwrap().path()).collect();
    images.sort();
    images
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_folder_is_encoded_once_and_searched_by_text_and_by_image() {
    let folder = tempfile::tempdir().unwrap();
    let cache = path(&folder.path().join("index"));
    let search = |query: &[&str]| {
        let args = [&["retrieve"], &MODEL[..], &["--images", IMAGES, "--cache", &cache, "--json"], query].concat();
        let output = crate::m3ae(pretrained(), &args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (json_lines(&String::from_utf8_lossy(&output.stdout)), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (by_text, said) = search(&["--text", "chest x-ray with an effusion"]);
    assert!(said.contains("6 images: 6 encoded now"), "{said}");
    assert_eq!(by_text.len(), 6);
    assert!(by_text.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()));
    assert!(by_text[0]["probability"].as_f64().is_some());
    let (again, said) = search(&["--text", "chest x-ray with an effusion"]);
    assert!(said.contains("6 images: 0 encoded now"), "{said}");
    assert_eq!(by_text, again);
    // An image is most like itself.
    let query = path(&images()[2]);
    let (alike, _) = search(&["--image", &query, "--top", "2"]);
    assert_eq!(alike.len(), 2);
    assert!(query.ends_with(alike[0]["name"].as_str().unwrap()), "{alike:?}");
    assert!((alike[0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-5);

    let texts = folder.path().join("texts.txt");
    fs::write(&texts, "chest x-ray with an effusion\n\nhead ct\n").unwrap();
    let texts = path(&texts);
    let args = [&["retrieve"], &MODEL[..], &["--texts", &texts, "--image", &query, "--json"]].concat();
    let found = json_lines(&succeeds(pretrained(), &args));
    let of_image = by_text.iter().find(|line| query.ends_with(line["name"].as_str().unwrap())).unwrap();
    let of_text = found.iter().find(|line| line["name"] == "chest x-ray with an effusion").unwrap();
    assert!((of_image["score"].as_f64().unwrap() - of_text["score"].as_f64().unwrap()).abs() < 1e-4);
}

#[test]
fn what_cannot_be_searched_says_why_and_bad_images_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("images")).unwrap();
    let pictures = path(&folder.path().join("images"));
    let cache = path(&folder.path().join("index"));
    let base = [&["retrieve"], &MODEL[..], &["--cache", &cache]].concat();
    let search = |args: &[&str]| fails(pretrained(), &[&base[..], args].concat());
    assert!(search(&["--images", &pictures]).contains("--text or --image"));
    assert!(search(&["--images", &pictures, "--text", "x"]).contains("no image"));
    fs::write(folder.path().join("images/a.png"), "no image at all").unwrap();
    assert!(search(&["--images", &pictures, "--text", "x"]).contains("none of the 1 images can be read"));
    fs::copy(&images()[0], folder.path().join("images/b.png")).unwrap();
    let printed = succeeds(pretrained(), &[&base[..], &["--images", &pictures, "--text", "x"]].concat());
    assert!(printed.lines().count() == 1 && printed.contains("b.png"), "{printed}");
}

#[test]
fn patches_and_words_are_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out) = (path(&images()[0]), path(&folder.path().join("out.png")));
    let base = [&["reconstruct"], &MODEL[..], &["--image", &image, "--out", &out]].concat();
    let printed =
        succeeds(pretrained(), &[&base[..], &["--caption", "chest <mask> with <mask>", "--top", "3"]].concat());
    assert_eq!(printed.lines().filter(|line| line.contains(" %  ")).count(), 6, "{printed}");
    let picture = image::open(&out).unwrap();
    assert!(picture.width() > 3 * 160, "{}", picture.width());
    let error = fails(pretrained(), &[&base[..], &["--ratio", "1.0"]].concat());
    assert!(error.contains("share of patches to remove"), "{error}");
}

#[test]
fn features_are_written_with_the_names_of_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(&folder.path().join("features.safetensors"));
    let (first, second) = (path(&images()[0]), path(&images()[1]));
    let rows = ["--image", &first, "--image", &second, "--text", "head ct", "--text", "chest x-ray", "--pairs"];
    succeeds(pretrained(), &[&["embed"], &MODEL[..], &rows, &["--out", &out]].concat());
    let bytes = fs::read(&out).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, width) in [("images", 64), ("texts", 128), ("pairs", 128)] {
        assert_eq!(tensors.tensor(name).unwrap().shape(), [2, width], "{name}");
    }
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert!(metadata.metadata().as_ref().unwrap()["texts"].contains("head ct"));
    let error = fails(pretrained(), &[&["embed"], &MODEL[..], &rows[2..], &["--out", &out]].concat());
    assert!(error.contains("2 texts and 1 images"), "{error}");
}

#[test]
fn features_for_numpy_are_a_header_and_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| path(&folder.path().join(name));
    let (first, second) = (path(&images()[0]), path(&images()[1]));
    let rows = ["--image", &first, "--image", &second, "--text", "head ct", "--text", "chest x-ray", "--pairs"];
    let embed =
        |rows: &[&str], out: &str| succeeds(pretrained(), &[&["embed"], &MODEL[..], rows, &["--out", out]].concat());
    embed(&rows, &file("all.safetensors"));
    let bytes = fs::read(file("all.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    // One matrix has the name that was given, several have one each.
    let printed = embed(&rows, &file("all.npy"));
    assert!(printed.contains("all-pairs.npy") && !Path::new(&file("all.npy")).exists(), "{printed}");
    embed(&rows[..4], &file("one.npy"));
    for (name, file, width) in
        [("images", file("one.npy"), 64), ("texts", file("all-texts.npy"), 128), ("pairs", file("all-pairs.npy"), 128)]
    {
        let bytes = fs::read(&file).unwrap();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (2, {width}), }}");
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{file}");
        assert_eq!(String::from_utf8_lossy(&bytes[10..128]).trim_end(), header, "{file}");
        assert_eq!((bytes[8], bytes[127], &bytes[128..]), (118, b'\n', tensors.tensor(name).unwrap().data()), "{file}");
    }
    let names: Value = serde_json::from_str(&fs::read_to_string(file("all.rows.json")).unwrap()).unwrap();
    assert_eq!((names["texts"][1].as_str(), names["images"][0].as_str()), (Some("chest x-ray"), Some(first.as_str())));
    let error = fails(pretrained(), &[&["embed"], &MODEL[..], &rows, &["--out", &file("all.csv")]].concat());
    assert!(error.contains("must end in .safetensors, or in .npy"), "{error}");
}

#[test]
fn retrieval_is_scored_and_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let (prepared, out) = (path(&folder.path().join("arrows")), path(&folder.path().join("out")));
    let data = ["--raw", "phantom/roco", "--prepared", &prepared, "--out", &out, "--resamples", "400", "--logits"];
    let evaluate = || succeeds(pretrained(), &[&["eval", "roco"], &MODEL[..], &data].concat());
    let printed = evaluate();
    assert!(printed.contains("image to text R@10") && printed.contains("pairs/s"), "{printed}");
    let scores = fs::read(folder.path().join("out/scores.safetensors")).unwrap();
    let eval: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("out/eval.json")).unwrap()).unwrap();
    assert_eq!(eval["scores"]["task"], "retrieval");
    assert!(eval["notes"].to_string().contains("Zero-shot"));

    // What an interrupted evaluation leaves: some rows, and half of one.
    let tensors = safetensors::SafeTensors::deserialize(&scores).unwrap();
    let (rows, texts) =
        (tensors.tensor("scores").unwrap().data().to_vec(), tensors.tensor("scores").unwrap().shape()[1]);
    let name = {
        // The name follows from model and data: an evaluation that fails at its end leaves the file.
        fs::create_dir_all(folder.path().join("block/report.html/taken")).unwrap();
        let blocked = path(&folder.path().join("block"));
        let data: Vec<&str> = data.iter().map(|&arg| if arg == out { blocked.as_str() } else { arg }).collect();
        fails(pretrained(), &[&["eval", "roco"], &MODEL[..], &data].concat());
        let mut entries = fs::read_dir(folder.path().join("block")).unwrap().map(|entry| entry.unwrap().file_name());
        entries.find(|name| name.to_string_lossy().starts_with(".scores-")).unwrap()
    };
    fs::write(folder.path().join("out").join(&name), &rows[..2 * 4 * texts + 5]).unwrap();
    let printed = evaluate();
    assert!(printed.contains("12 of 36 pairs were scored before"), "{printed}");
    assert_eq!(fs::read(folder.path().join("out/scores.safetensors")).unwrap(), scores);
    assert!(!folder.path().join("out").join(&name).exists());
}

#[test]
fn scores_that_are_no_numbers_leave_no_results_of_retrieval() {
    let folder = tempfile::tempdir().unwrap();
    let [broken, out, prepared] = ["broken", "out", "arrows"].map(|name| path(&folder.path().join(name)));
    crate::eval::with_value(&pretrained().join("runs/tiny/model"), Path::new(&broken), "itm_head.fc.bias", f32::NAN);
    let data = ["--raw", "phantom/roco", "--prepared", &prepared, "--out", &out, "--resamples", "400"];
    let error = fails(pretrained(), &[&["eval", "roco", "--checkpoint", &broken], &data[..]].concat());
    assert!(error.contains("not finite") && !Path::new(&out).exists(), "{error}");
}
