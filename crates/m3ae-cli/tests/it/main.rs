//! The binary, run as a user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on fails.

mod answer;
mod benchmark;
mod checkpoint;
#[cfg(unix)]
mod dashboard;
mod eval;
mod finetune;
#[path = "../../../../tests/golden/locate.rs"]
mod locate;
#[cfg(unix)]
mod pipes;
mod prepare;
mod pretrain;
#[cfg(unix)]
mod resume;
mod search;

use std::path::Path;
use std::process::{Command, Output};

/// Runs `m3ae <args>` in `folder`.
fn m3ae(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_m3ae"))
        .args(args)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary starts")
}

/// Its standard output, after it succeeded.
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let output = m3ae(folder, args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}\n{out}\n{err}");
    out.into_owned()
}

/// Its standard error, after it failed the way a user can act on: with an error and no panic.
fn fails(folder: &Path, args: &[&str]) -> String {
    let output = m3ae(folder, args);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}\n{err}");
    assert!(err.lines().any(|line| line.starts_with("error: ")) && !err.contains("panicked"), "{err}");
    err
}
