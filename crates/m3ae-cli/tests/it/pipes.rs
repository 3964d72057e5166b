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
