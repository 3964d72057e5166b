//! The dashboard, in a pseudo-terminal made by util-linux's `script`.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::pretrain::TINY;

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// Whether the tests here can run; says so if not. In CI they must: `.ci/run` installs `script`.
fn can_run() -> bool {
    let version = Command::new("script").arg("--version").output();
    let there = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"));
    if !there {
        assert!(std::env::var_os("CI").is_none(), "`script` of util-linux is missing, and CI needs it");
        println!("skipped: no `script` of util-linux on this machine");
    }
    there
}

/// Exit code and output of a pre-training in a terminal of 100 by 30, where `keys` are pressed as soon as the dashboard
/// is there. The state of the terminal afterwards is printed at the end.
fn in_terminal(folder: &Path, variable: &str, options: &str, keys: &str) -> (Option<i32>, String) {
    fs::write(folder.join("tiny.toml"), TINY).unwrap();
    let m3ae = env!("CARGO_BIN_EXE_m3ae");
    let command = format!(
        "stty rows 30 cols 100; {variable} '{m3ae}' pretrain --config tiny.toml {options}; code=$?; stty -a; exit $code"
    );
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(folder)
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .env_remove("NO_DASHBOARD")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Open until the end: `script` would pass its end on.
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (mut output, mut buffer, mut pressed) = (Vec::new(), [0; 4096], false);
    loop {
        let count = stdout.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        output.extend_from_slice(&buffer[..count]);
        if !pressed && String::from_utf8_lossy(&output).contains(ENTER) {
            stdin.write_all(keys.as_bytes()).unwrap();
            stdin.flush().unwrap();
            pressed = true;
        }
    }
    (child.wait().unwrap().code(), String::from_utf8_lossy(&output).into_owned())
}

/// What was printed before, on and after the dashboard. The terminal is as it was.
fn parts(output: &str) -> [&str; 3] {
    assert!(output.contains(ENTER) && output.contains(LEAVE), "no dashboard, or it stays: {output}");
    let (before, rest) = output.split_once(ENTER).unwrap();
    let (on, after) = rest.split_once(LEAVE).unwrap();
    assert!(!after.contains(ENTER) && after.contains("\x1b[?25h"), "{after}");
    let modes: Vec<&str> = after.split_whitespace().collect();
    assert!(["icanon", "echo", "isig", "opost"].iter().all(|mode| modes.contains(mode)), "{after}");
    [before, on, after]
}

#[test]
fn a_run_in_a_terminal_shows_a_dashboard_and_leaves_the_terminal_as_it_was() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, output) = in_terminal(folder.path(), "", "", "\t");
    let [before, on, after] = parts(&output);
    assert_eq!(code, Some(0), "{after}");
    assert!(before.contains("6 steps of 8 samples") && before.contains("M parameters"), "{before}");
    assert!(on.contains("runs/tiny") && on.contains("stop and save") && on.contains("gradient norm"), "{on}");
    assert!(after.contains("untrained") && after.contains("masked language modelling, loss"), "{after}");
    assert!(after.contains("weights, metrics and pictures: runs/tiny"), "{after}");
}

#[test]
fn keys_stop_a_run_and_save_it_or_end_it_at_once() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, output) = in_terminal(folder.path(), "", "--set train.steps=1000", "q");
    let [_, _, after] = parts(&output);
    assert_eq!(code, Some(75), "{after}");
    assert!(after.contains("and saved; continue with --resume: runs/tiny"), "{after}");
    assert!(folder.path().join("runs/tiny/checkpoints").read_dir().unwrap().count() > 0);

    // Ctrl-C twice.
    let (code, output) = in_terminal(folder.path(), "", "--set train.steps=1000 --resume", "\x03\x03");
    let [before, _, after] = parts(&output);
    assert!(before.contains("resuming from"), "{before}");
    assert_eq!(code, Some(130), "{after}");
    assert!(!after.contains("saved"), "{after}");
}

#[test]
fn lines_are_printed_where_the_dashboard_is_declined() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (variable, option) in [("", "--plain"), ("NO_DASHBOARD=1", "--overwrite"), ("TERM=dumb", "--overwrite")] {
        let (code, output) = in_terminal(folder.path(), variable, option, "");
        assert_eq!(code, Some(0), "{output}");
        assert!(!output.contains('\x1b') && output.contains("step 6/6 | mlm "), "{variable} {option}: {output}");
    }
}
