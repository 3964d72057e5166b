//! What the tasks hand to cargo, seen by a cargo that only writes down how it was called.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

/// Fails with 101 where the subcommand is $FAILS, with $STATUS otherwise.
const CARGO: &str = r#"#!/bin/sh
echo "called: $* | in $PWD | DOCS_RS=$DOCS_RS RUSTDOCFLAGS=$RUSTDOCFLAGS PKG=$CARGO_PKG_NAME"
[ "$1" = "$FAILS" ] && exit 101
exit "${STATUS:-0}"
"#;

/// A folder with the recording cargo, an empty workspace and a folder to stand in. Made once per process, before
/// anything is started: a script that is being written cannot be executed.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tasks-{}", std::process::id()));
    // An earlier process may have had this number.
    let _ = fs::remove_dir_all(&folder);
    for name in ["workspace/xtask", "workspace/crates", "elsewhere"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let cargo = folder.join("cargo");
    fs::write(&cargo, CARGO).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    folder.canonicalize().unwrap()
});

fn xtask(args: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(args.split_whitespace()).current_dir(FOLDER.join("elsewhere"));
    command.env("CARGO", FOLDER.join("cargo")).env("CARGO_MANIFEST_DIR", FOLDER.join("workspace/xtask"));
    command.env_remove("DOCS_RS").env_remove("RUSTDOCFLAGS").env_remove("M3AE_GOLDEN").env("VK_DRIVER_FILES", "some");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// How cargo was called, line by line.
fn calls(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("called: ")).map(str::to_owned).collect()
}

#[test]
fn a_command_runs_the_binary_in_the_users_folder_with_its_feature() {
    let output = xtask("pretrain --backend wgpu --release --seed 3", &[]);
    let folder = FOLDER.display();
    let expected = format!(
        "run --manifest-path {folder}/workspace/Cargo.toml --package m3ae-cli --release --features wgpu \
         -- pretrain --backend wgpu --seed 3 | in {folder}/elsewhere | DOCS_RS= RUSTDOCFLAGS= PKG="
    );
    assert_eq!(calls(&output), [expected]);
    assert!(output.status.success());
}

#[test]
fn the_exit_code_is_the_commands() {
    for (task, status) in [("pretrain", "3"), ("test", "101"), ("no-such-command", "2")] {
        let output = xtask(task, &[("STATUS", status)]);
        assert_eq!(output.status.code().unwrap().to_string(), status, "{task}");
    }
}

#[test]
fn tests_build_what_a_command_builds() {
    let profile_and_features = |args: &str| {
        let call = calls(&xtask(args, &[])).remove(0);
        let cargos = call.split(" -- ").next().unwrap().to_owned();
        ["--release", "--profile", "--features", "--no-default-features", "--all-features"]
            .map(|flag| cargos.contains(flag))
    };
    assert_eq!(profile_and_features("test"), [false; 5]);
    assert_eq!(profile_and_features("pretrain"), [false; 5]);
    assert_eq!(profile_and_features("pretrain --backend flex"), [false; 5]);
}

/// With other features of a dependency in the tests than in the binary, cargo would compile Burn twice.
#[test]
fn the_binary_and_the_tests_have_the_same_features_of_every_dependency() {
    let features = |selection: &[&str]| {
        let cargo = std::env::var("CARGO").unwrap();
        let arguments = ["tree", "--offline", "--prefix", "none", "--format", "{p}|{f}"];
        let output = Command::new(cargo).args(arguments).args(selection).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines
            .lines()
            .map(|line| line.trim_end_matches(" (*)").to_owned())
            .collect::<std::collections::BTreeSet<String>>()
    };
    let tests = features(&["--workspace"]);
    for package in ["m3ae-cli", "m3ae-lab"] {
        let binary = features(&["--package", package, "--edges", "normal,build"]);
        let alone: Vec<&String> = binary.difference(&tests).collect();
        assert!(binary.len() > 100 && alone.is_empty(), "{package}: {alone:?}");
    }
}

#[test]
fn a_first_build_is_announced_on_the_error_stream() {
    // In a target folder of its own, since m3ae may have been built beside this xtask.
    let bin = FOLDER.join("target/debug");
    fs::create_dir_all(&bin).unwrap();
    let alone = bin.join("xtask");
    fs::hard_link(env!("CARGO_BIN_EXE_xtask"), &alone).unwrap();
    let run = || Command::new(&alone).arg("pretrain").env("CARGO", FOLDER.join("cargo")).output().unwrap();
    assert!(String::from_utf8_lossy(&run().stderr).contains("ten minutes"));
    fs::write(bin.join("m3ae"), "").unwrap();
    assert!(run().stderr.is_empty());
}

#[test]
fn ci_runs_every_step_in_the_workspace() {
    let output = xtask("ci --wgpu-parity", &[]);
    let calls = calls(&output);
    let workspace = format!("| in {}/workspace |", FOLDER.display());
    assert!(calls.iter().all(|call| call.contains(&workspace)), "{calls:?}");
    let commands: Vec<&str> = calls.iter().map(|call| call.split(" | ").next().unwrap()).collect();
    assert_eq!(
        commands,
        [
            "fmt --all -- --check",
            "clippy --workspace --all-targets -- -D warnings",
            "test --workspace",
            "test --package m3ae-prepare --features parquet --test it hub",
            "run --package m3ae-lab --features ndarray -- parity tests/golden/fixture --backend ndarray",
            "run --package m3ae-lab --features ndarray -- parity tests/golden/bert --backend ndarray",
            "doc --workspace --no-deps",
            "check --package m3ae-cli --package m3ae-lab --features wgpu",
            "check --package m3ae-cli --package m3ae-lab --features cuda",
            "run --package m3ae-lab --features wgpu -- parity tests/golden/fixture --backend wgpu",
        ]
    );
    assert!(calls[6].contains("RUSTDOCFLAGS=-D warnings"), "{calls:?}");
    let with_docs_rs: Vec<&&str> = commands
        .iter()
        .zip(&calls)
        .filter(|(_, call)| call.contains("DOCS_RS=1"))
        .map(|(command, _)| command)
        .collect();
    assert_eq!(with_docs_rs, [&"check --package m3ae-cli --package m3ae-lab --features cuda"]);
    assert!(output.status.success());
}

#[test]
fn ci_stops_at_the_first_failure_and_names_it() {
    let output = xtask("ci", &[("FAILS", "test")]);
    assert_eq!(calls(&output).len(), 3);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, result) in [("clippy", "passed"), ("test", "FAILED"), ("doc", "not run"), ("check cuda", "not run")] {
        assert!(table.contains(&format!("\n{name:<14} {result}")), "{table}");
    }
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("ci failed at test: cargo test --workspace ended with exit status: 101"), "{error}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cargo_said_about_xtask_is_not_passed_on() {
    let output = xtask("test", &[("CARGO_PKG_NAME", "xtask")]);
    assert!(calls(&output)[0].ends_with("PKG="), "{output:?}");
}

#[test]
fn help_names_every_task_and_starts_nothing() {
    for args in ["", "help", "--help"] {
        let output = xtask(args, &[("STATUS", "1")]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for task in ["cargo xtask pretrain", "cargo xtask test", "ci [--wgpu-parity]", "tidy ", "m3ae <arguments>"] {
            assert!(text.contains(task), "{text}");
        }
        assert!(output.status.success() && calls(&output).is_empty());
    }
}

#[test]
fn a_cargo_that_is_not_there_is_an_error() {
    let output = xtask("pretrain", &[("CARGO", "/no/such/cargo")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot start cargo run"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}
