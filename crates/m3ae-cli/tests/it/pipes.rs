//! Output that nobody reads any more, as in `m3ae … | head -1`.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::finetune::tuned;
use crate::pretrain::TINY;
use crate::succeeds;

/// Runs `m3ae <args>` with a standard output whose reader is gone.
fn unread(folder: &Path, args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_m3ae"));
    command.args(args).current_dir(folder).stdout(writer).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn commands_that_print_end_quietly_by_the_signal_for_it() {
    const SIGPIPE: i32 = 13;
    let file = "phantom/arrows/vqa_phantom_test.arrow";
    for args in [&["data", "inspect", file, "--pictures", "0"][..], &["info", "runs/tiny/model"]] {
        let output = unread(tuned(), args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.signal(), err.as_ref()), (Some(SIGPIPE), ""), "{args:?}");
    }
    // Help too, which the command line's reader prints.
    let output = unread(tuned(), &["eval", "--help"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn a_run_whose_output_is_closed_saves_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    let args = ["pretrain", "--config", "tiny.toml"];
    let output = unread(folder.path(), &args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{:?} {err}", output.status);
    assert!(!err.contains("panicked"), "{err}");
    let printed = succeeds(folder.path(), &[&args[..], &["--resume"]].concat());
    assert!(printed.contains("resuming from runs/tiny/checkpoints/step-000001"), "{printed}");
    assert!(folder.path().join("runs/tiny/model/model.safetensors").is_file());
}

/// As in `m3ae eval … | head`: the results are in the folder, and the exit code says so.
#[test]
fn an_evaluation_whose_output_is_closed_leaves_its_results() {
    let out = tempfile::tempdir().unwrap();
    let folder = |name: &str| out.path().join(name).display().to_string();
    let (one, two) = (folder("one"), folder("two"));
    let args = ["eval", "phantom-vqa", "--checkpoint", "runs/tiny", "--raw", "phantom", "--resamples", "400", "--out"];
    for folder in [&one, &two] {
        let output = unread(tuned(), &[&args[..], &[folder]].concat());
        assert!(output.status.success(), "{:?} {}", output.status, String::from_utf8_lossy(&output.stderr));
        for name in ["eval.json", "predictions.jsonl", "report.html"] {
            assert!(Path::new(folder).join(name).is_file(), "{name}");
        }
    }
    let records = [&one, &two].map(|folder| format!("{folder}/eval.json"));
    let page = folder("page");
    let output = unread(tuned(), &["eval", "--compare", &records[0], &records[1], "--out", &page]);
    assert!(output.status.success() && Path::new(&page).join("compare.json").is_file(), "{output:?}");
}

#[test]
fn what_a_command_writes_is_there_though_nobody_reads_what_it_prints() {
    let out = tempfile::tempdir().unwrap();
    let folder = |name: &str| out.path().join(name).display().to_string();
    let image = first_image(&tuned().join("phantom"));
    let (features, where_, converted) = (folder("features.safetensors"), folder("where.png"), folder("model"));
    for (args, written) in [
        (&["embed", "--checkpoint", "runs/tiny", "--image", &image, "--out", &features][..], &features),
        (
            &["answer", "--checkpoint", "runs/tiny", "--image", &image, "--question", "where", "--attention", &where_],
            &where_,
        ),
        (&["convert", "runs/tiny/model/model.safetensors", "--out", &converted], &converted),
    ] {
        let output = unread(tuned(), args);
        assert!(Path::new(written).exists(), "{args:?} {output:?}");
    }
}

/// An image of the synthetic set's caption part.
fn first_image(phantom: &Path) -> String {
    let folder = phantom.join("roco/test/radiology/images");
    let mut images: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    images.sort();
    images[0].display().to_string()
}
