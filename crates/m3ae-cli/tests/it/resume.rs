//! Runs that are killed, stopped, damaged and changed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use m3ae_train::RunCheckpoint;

use crate::{fails, m3ae, pretrain::TINY, succeeds};

/// Steps of the runs that are killed.
const STEPS: usize = 8;
/// How often they are.
const KILLS: usize = 50;

/// A folder with the tiny recipe, saving after every step, with dropout and an incomplete last accumulation.
fn workplace() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let recipe = TINY.replace("steps = 6", &format!("steps = {STEPS}")) + "[checkpoint]\nevery = 1\n";
    fs::write(folder.path().join("tiny.toml"), recipe).unwrap();
    let run = folder.path().join("runs/tiny");
    (folder, run)
}

const RUN: [&str; 3] = ["pretrain", "--config", "tiny.toml"];

fn with(options: &[&'static str]) -> Vec<&'static str> {
    [&RUN, options].concat()
}

/// Weights, moments and every validation of a finished run.
fn result(run: &Path) -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let last = run.join(format!("checkpoints/step-{STEPS:06}"));
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let validations = metrics.lines().filter(|line| line.contains(r#""event":"validation""#)).map(str::to_owned);
    let weights = fs::read(run.join("model/model.safetensors")).unwrap();
    assert_eq!(weights, fs::read(last.join("model.safetensors")).unwrap());
    (weights, fs::read(last.join("optimizer.safetensors")).unwrap(), validations.collect())
}

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_m3ae"))
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Pseudo-random numbers: the same kills in every run of this test, as far as the machine's speed allows.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }
}

fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("step-")).collect();
    found.sort();
    found
}

/// Cuts, changes or removes one file of a checkpoint.
fn damage(checkpoint: &Path, dice: &mut Dice) {
    let mut files: Vec<PathBuf> = fs::read_dir(checkpoint).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let file = &files[dice.below(files.len())];
    let mut bytes = fs::read(file).unwrap();
    match dice.below(3) {
        0 => bytes.truncate(dice.below(bytes.len())),
        1 => {
            let place = dice.below(bytes.len());
            bytes[place] ^= 1 << dice.below(8);
        }
        _ => return fs::remove_file(file).unwrap(),
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn no_flipped_bit_of_a_manifest_passes_for_another_checkpoint() {
    let (folder, run) = workplace();
    succeeds(folder.path(), &RUN);
    let newest = checkpoints(&run).pop().unwrap();
    let whole = RunCheckpoint::open(&newest).unwrap();
    let manifest = newest.join("manifest.json");
    let bytes = fs::read(&manifest).unwrap();
    let mut refused = 0;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&manifest, flipped).unwrap();
        // White space may become other white space.
        match RunCheckpoint::open(&newest) {
            Ok(found) => assert_eq!(found, whole, "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 7 * bytes.len(), "{refused} of {} bits", 8 * bytes.len());
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_with_the_same_bytes() {
    let (folder, run) = workplace();
    let began = Instant::now();
    succeeds(folder.path(), &RUN);
    let length = began.elapsed().as_millis() as usize;
    let expected = result(&run);

    let mut dice = Dice(20220915);
    let (mut kills, mut inside_saves, mut damaged, mut finished) = (0, 0, 0, 0);
    let mut broken = BTreeSet::new();
    let mut option = "--overwrite";
    while kills < KILLS {
        let mut child = start(folder.path(), &with(&[option]));
        option = "--resume";
        sleep(Duration::from_millis((length / 10 + dice.below(length)) as u64));
        child.kill().unwrap(); // SIGKILL
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            finished += 1;
            assert_eq!(result(&run), expected, "after {kills} kills");
            broken.clear();
            option = "--overwrite";
            continue;
        }
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), None, "it ended by itself: {err}");
        kills += 1;
        let hidden = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
        inside_saves += hidden.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).count();
        // Every third time, the newest checkpoint is damaged too, where an older one is whole.
        if let [.., older, newest] = checkpoints(&run).as_slice()
            && kills % 3 == 0
            && !broken.contains(older)
            && broken.insert(newest.clone())
        {
            damage(newest, &mut dice);
            damaged += 1;
        }
    }
    succeeds(folder.path(), &with(&[option]));
    assert_eq!(result(&run), expected);
    println!(
        "{kills} kills, {inside_saves} of them inside saves; {damaged} checkpoints damaged; {finished} runs finished before"
    );
    assert!(inside_saves > 0 && damaged > 0, "{inside_saves} kills inside saves, {damaged} damaged");
}

/// Waits for a line that contains `text`.
fn wait_for(child: &mut Child, text: &str) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut reading = lines.map_while(Result::ok);
    assert!(reading.any(|line| line.contains(text)), "{text:?} was never printed");
    // The rest is read too, or the process would wait for it.
    std::thread::spawn(move || reading.for_each(drop));
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_signal_finishes_the_step_and_saves() {
    let (folder, run) = workplace();
    succeeds(folder.path(), &RUN);
    let expected = result(&run);

    let mut child = start(folder.path(), &with(&["--overwrite"]));
    wait_for(&mut child, "step 2/");
    terminate(&child);
    let status = child.wait().unwrap();
    if status.code() == Some(75) {
        assert!(!run.join("model").exists());
        let printed = succeeds(folder.path(), &with(&["--resume"]));
        assert!(printed.contains("resuming from"), "{printed}");
    } else {
        assert!(status.success(), "{status}"); // It was done before the signal came.
    }
    assert_eq!(result(&run), expected);
}

#[test]
fn a_second_signal_exits_at_once() {
    let (folder, _run) = workplace();
    // One step takes seconds.
    let slow = ["train.batch_size=12", "train.accumulate=200", "train.steps=2", "log.every=1"];
    let options: Vec<&str> = slow.iter().flat_map(|option| ["--set", option]).collect();
    let mut child = start(folder.path(), &[&RUN, &options[..]].concat());
    wait_for(&mut child, "validation after 0 steps");
    terminate(&child);
    sleep(Duration::from_millis(100));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn a_changed_recipe_is_refused_with_the_difference() {
    let (folder, run) = workplace();
    succeeds(folder.path(), &with(&["--set", "train.steps=3"]));
    let error =
        fails(folder.path(), &with(&["--resume", "--set", "train.learning_rate=0.5", "--set", "data.workers=2"]));
    assert!(error.contains("train.learning_rate: was 0.001, is 0.5"), "{error}");
    assert!(error.contains("train.steps: was 3, is 8") && !error.contains("workers"), "{error}");
    assert!(error.contains("--allow-change"), "{error}");

    let error = fails(folder.path(), &with(&["--resume", "--allow-change", "train.steps", "--set", "run.seed=1"]));
    assert!(error.contains("run.seed: was 0, is 1") && !error.contains("train.steps"), "{error}");

    // Another data set.
    let captions = folder.path().join("phantom/roco/train/radiology/captions.txt");
    let text = fs::read_to_string(&captions).unwrap();
    fs::write(&captions, text.replacen("the ", "a ", 1)).unwrap();
    let error = fails(folder.path(), &with(&["--resume", "--allow-change", "train"]));
    assert!(error.contains("  data: was "), "{error}");
    fs::write(&captions, text).unwrap();

    let printed = succeeds(folder.path(), &with(&["--resume", "--allow-change", "train"]));
    assert!(printed.contains("resuming from runs/tiny/checkpoints/step-000003"), "{printed}");
    assert!(run.join(format!("checkpoints/step-{STEPS:06}")).is_dir());
}

#[test]
fn a_checkpoint_that_cannot_be_written_costs_nothing_but_itself() {
    let (folder, run) = workplace();
    succeeds(folder.path(), &with(&["--set", "train.steps=2"]));
    // No file may grow beyond 4 MiB, as on a full disk: the moments need 6. The shell's units are 512 bytes.
    let limited = |options: &str| {
        let program = env!("CARGO_BIN_EXE_m3ae");
        let run = format!("trap '' XFSZ; ulimit -f 8192; exec {program} {} --resume {options}", RUN.join(" "));
        Command::new("sh").args(["-c", &run]).current_dir(folder.path()).output().unwrap()
    };
    let output = limited("--allow-change train.steps --allow-change checkpoint --set checkpoint.on_failure=stop");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("optimizer.safetensors"), "{err}");
    assert_eq!(checkpoints(&run).last().unwrap(), &run.join("checkpoints/step-000002"));

    let output = limited("--allow-change train.steps");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(err.contains("a checkpoint could not be saved, earlier ones are whole"), "{err}");
    assert_eq!(checkpoints(&run).last().unwrap(), &run.join("checkpoints/step-000002"));
    // And the run can be resumed from there.
    let printed = succeeds(folder.path(), &with(&["--resume", "--allow-change", "train.steps"]));
    assert!(printed.contains("resuming from runs/tiny/checkpoints/step-000002"), "{printed}");
}

#[test]
fn resuming_needs_no_earlier_run_but_whole_checkpoints() {
    let (folder, run) = workplace();
    let printed = succeeds(folder.path(), &with(&["--resume", "--set", "train.steps=3"]));
    assert!(printed.contains("there is no checkpoint"), "{printed}");
    let mut dice = Dice(1);
    checkpoints(&run).iter().for_each(|checkpoint| damage(checkpoint, &mut dice));
    let output = m3ae(folder.path(), &with(&["--resume", "--set", "train.steps=3"]));
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err.matches("is damaged and skipped").count(), 2, "{err}");
    assert!(err.contains("every checkpoint in runs/tiny is damaged"), "{err}");
}

#[test]
fn only_one_process_trains_in_a_folder() {
    let (folder, _run) = workplace();
    let slow = ["train.batch_size=12", "train.accumulate=200", "train.steps=2"];
    let options: Vec<&str> = slow.iter().flat_map(|option| ["--set", option]).collect();
    let mut child = start(folder.path(), &[&RUN, &options[..]].concat());
    wait_for(&mut child, "validation after 0 steps");
    let error = fails(folder.path(), &[&RUN, &options[..], &["--resume"]].concat());
    assert!(error.contains("another process is training in this folder"), "{error}");
    let error = fails(folder.path(), &[&RUN, &options[..], &["--overwrite"]].concat());
    assert!(error.contains("another process is training in this folder"), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn resuming_does_not_touch_the_checkpoint_that_a_live_run_is_writing() {
    let (folder, run) = workplace();
    let slow = ["train.batch_size=12", "train.accumulate=200", "train.steps=2"];
    let options: Vec<&str> = slow.iter().flat_map(|option| ["--set", option]).collect();
    let mut child = start(folder.path(), &[&RUN, &options[..]].concat());
    wait_for(&mut child, "validation after 0 steps");
    // As an earlier version, or a process on another machine without locks, names what it is writing.
    let part = run.join("checkpoints/.step-000001.part");
    fs::create_dir(&part).unwrap();
    let error = fails(folder.path(), &[&RUN, &options[..], &["--resume"]].concat());
    assert!(error.contains("another process is training in this folder"), "{error}");
    assert!(part.is_dir());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn leftovers_of_killed_saves_and_exports_go_when_the_run_is_resumed() {
    let (folder, run) = workplace();
    succeeds(folder.path(), &with(&["--set", "train.steps=1"]));
    let leftovers = [run.join(".model.4711.part"), run.join("checkpoints/.step-000001.part")];
    for leftover in &leftovers {
        fs::create_dir(leftover).unwrap();
        fs::write(leftover.join("model.safetensors"), "half").unwrap();
    }
    succeeds(folder.path(), &with(&["--set", "train.steps=1", "--resume"]));
    assert!(leftovers.iter().all(|leftover| !leftover.exists()));
}
