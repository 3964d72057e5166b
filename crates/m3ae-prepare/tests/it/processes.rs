//! Preparation in processes of their own: killed at any point, and with little memory.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use m3ae_prepare::{PrepareOptions, PrepareReport, SetName, ValChoice, prepare};
use m3ae_random::{Key, Stream};

use crate::{options, write};

/// What a child prepares, from where to where, and after how many images it kills itself.
const VARIABLE: &str = "M3AE_TEST_PREPARE";

/// A VQA-RAD of so many images of such a length, of no other content than a PNG's first bytes.
fn vqa_rad(images: usize, bytes: u64) -> tempfile::TempDir {
    let raw = tempfile::tempdir().unwrap();
    let question = |id: usize| {
        serde_json::json!({
            "qid": id, "image_name": format!("{id}.png"), "question": "Is it?", "answer": id % 3, "answer_type": "OPEN",
        })
    };
    let all: Vec<_> = (0..images).map(question).collect();
    write(raw.path().join("trainset.json"), serde_json::to_string(&all).unwrap());
    write(raw.path().join("testset.json"), serde_json::to_string(&all[..images / 4]).unwrap());
    for image in 0..images {
        let path = raw.path().join(format!("images/{image}.png"));
        write(path.clone(), [b"\x89PNG\r\n\x1A\n".as_slice(), &image.to_le_bytes()].concat());
        // Sparse: costs no disk.
        File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
    }
    raw
}

fn child(shell: &str, raw: &Path, out: &Path, images: usize) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child_prepares", "--ignored", "--test-threads", "1", "--nocapture"])
        .env(VARIABLE, format!("{}\n{}\n{images}", raw.display(), out.display()))
        // An arena per thread would reserve much address space.
        .env("MALLOC_ARENA_MAX", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Temporary files; the lock's file stays.
fn leftovers(out: &Path) -> Vec<String> {
    let names = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.') && name != ".prepare.lock").collect()
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn child_prepares() {
    let Ok(told) = std::env::var(VARIABLE) else { return };
    let [raw, out, images] = told.split('\n').collect::<Vec<_>>().try_into().unwrap();
    let mut left: usize = images.parse().unwrap();
    let options = PrepareOptions { val: Some(ValChoice::CopyTest), workers: 2, ..options() };
    prepare(SetName::VqaRad, Path::new(raw), Path::new(out), &options, &mut |_| {
        left -= 1;
        if left == 0 {
            // As a kill from outside: nothing is unwound, flushed or removed.
            std::process::abort();
        }
    })
    .unwrap();
}

/// A folder's files by name, but for hidden ones: those may be anything.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let entries = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    entries.filter(|(name, _)| !name.starts_with('.')).map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

/// That what has a final name is final.
fn assert_whole(out: &Path, expected: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files(out) {
        match name.ends_with(".arrow") {
            true => assert!(expected[&name] == bytes, "{name} is not what an uninterrupted run writes"),
            false => assert!(serde_json::from_slice::<PrepareReport>(&bytes).is_ok(), "{name}"),
        }
    }
}

#[test]
fn a_killed_preparation_leaves_no_half_file_and_goes_on() {
    let raw = vqa_rad(120, 40_000);
    let whole = tempfile::tempdir().unwrap();
    let clock = Instant::now();
    assert!(child("", raw.path(), whole.path(), usize::MAX).output().unwrap().status.success());
    let (time, expected) = (clock.elapsed(), files(whole.path()));
    assert_eq!(expected.len(), 4);

    let mut generator = Key { seed: 4, epoch: 0, sample: "kills", stream: Stream::Split }.generator();
    let mut kills = 0;
    for trial in 0..12 {
        let out = tempfile::tempdir().unwrap();
        // Killed twice, each time somewhere else, then left alone: by itself at an image, or from outside at a time.
        for _ in 0..2 {
            let killed = match trial % 2 {
                0 => {
                    let images = 1 + generator.below(180);
                    !child("", raw.path(), out.path(), images).output().unwrap().status.success()
                }
                _ => {
                    let mut running: Child = child("", raw.path(), out.path(), usize::MAX).spawn().unwrap();
                    thread::sleep(time.mul_f32(generator.uniform()));
                    running.kill().unwrap();
                    !running.wait().unwrap().success()
                }
            };
            kills += usize::from(killed);
            assert_whole(out.path(), &expected);
        }
        assert!(child("", raw.path(), out.path(), usize::MAX).output().unwrap().status.success());
        assert_eq!(files(out.path()), expected, "trial {trial}");
        assert!(leftovers(out.path()).is_empty());
    }
    assert!(kills >= 12, "only {kills} runs were killed");
}

#[test]
#[cfg(target_os = "linux")]
fn memory_is_bounded_whatever_the_sets_size() {
    /// What the child may use, in KiB of address space: less than the images take.
    const LIMIT_KIB: u64 = 160 << 10;
    let (images, bytes) = (80, 5 << 19);
    assert!(images * bytes > LIMIT_KIB << 10);
    let (raw, out) = (vqa_rad(images as usize, bytes), tempfile::tempdir().unwrap());
    let limited = |kib: u64| child(&format!("ulimit -v {kib};"), raw.path(), out.path(), usize::MAX).output().unwrap();
    let output = limited(LIMIT_KIB);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::metadata(out.path().join("vqa_vqa_rad_train.arrow")).unwrap().len() > images * bytes);
    // The limit is real: with less than a few images' room it fails.
    fs::remove_dir_all(out.path()).unwrap();
    assert!(!limited(40 << 10).status.success());
}

#[test]
fn a_preparation_in_progress_is_an_error_or_is_waited_for() {
    let (raw, out) = (vqa_rad(8, 100), tempfile::tempdir().unwrap());
    let options = PrepareOptions { val: Some(ValChoice::CopyTest), ..options() };
    let run = |wait| {
        prepare(SetName::VqaRad, raw.path(), out.path(), &PrepareOptions { wait, ..options.clone() }, &mut |_| {})
    };
    let other = File::create(out.path().join(".prepare.lock")).unwrap();
    other.lock().unwrap();
    let error = run(false).unwrap_err().to_string();
    assert!(error.contains("another preparation is writing"), "{error}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| run(true));
        thread::sleep(std::time::Duration::from_millis(100));
        assert!(!waiting.is_finished());
        other.unlock().unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().len(), 3);
    });
}
