//! The binary, run as a user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on fails.

mod bench;
#[path = "../../../../tests/golden/locate.rs"]
mod locate;
mod parity;

use std::path::Path;
use std::process::Command;

/// The smallest recipe that still is a model.
const TINY: &str = include_str!("../../../m3ae-cli/tests/tiny.toml");

/// Runs `m3ae-lab <args>` in `folder`: its exit code, standard output and standard error.
fn lab(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_m3ae-lab"))
        .args(args)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Its standard output, after it succeeded.
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let (code, out, err) = lab(folder, args);
    assert_eq!(code, Some(0), "{args:?}\n{out}\n{err}");
    out
}

/// Its standard error, after it failed the way a user can act on: with an error and no panic.
fn fails(folder: &Path, args: &[&str]) -> String {
    let (code, _, err) = lab(folder, args);
    assert_eq!(code, Some(1), "{args:?}\n{err}");
    assert!(err.lines().any(|line| line.starts_with("error: ")) && !err.contains("panicked"), "{err}");
    err
}
