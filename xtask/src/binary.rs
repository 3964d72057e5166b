//! Running the binaries, and the tests.
//!
//! Both build with the dev profile and the default features, so that what one has compiled the other finds.

use std::{
    env::{self, consts::EXE_SUFFIX},
    ffi::OsString,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{args::BinaryRun, cargo};

/// Builds a binary and becomes it.
pub fn run(root: &Path, run: &BinaryRun) -> Result<ExitCode> {
    let mut command = workspace_command(root, "run");
    command.args(["--package", run.package]);
    if run.release {
        command.arg("--release");
    }
    if let Some(feature) = run.feature {
        command.args(["--features", feature]);
    }
    command.arg("--").args(&run.args);
    announce_first_build(if run.release { "release" } else { "debug" });
    cargo::hand_over(command)
}

/// Runs every test of the workspace.
pub fn test(root: &Path, args: &[OsString]) -> Result<ExitCode> {
    let mut command = workspace_command(root, "test");
    command.arg("--workspace").args(args);
    announce_first_build("debug");
    cargo::hand_over(command)
}

/// A cargo command on the workspace that leaves the current folder the user's, whose relative paths count from it.
fn workspace_command(root: &Path, subcommand: &str) -> Command {
    let mut command = cargo::command(subcommand);
    command.arg("--manifest-path").arg(root.join("Cargo.toml"));
    command
}

/// Says how long it will take, where m3ae was never built.
fn announce_first_build(profile: &str) {
    // This program lies in the target folder, wherever the settings put that: <target>/debug/xtask.
    let Ok(here) = env::current_exe() else { return };
    let Some(target) = here.parent().and_then(Path::parent) else { return };
    if !target.join(profile).join(format!("m3ae{EXE_SUFFIX}")).exists() {
        eprintln!("The first build compiles Burn, the tensor library: about ten minutes on two cores.");
    }
}
