//! Everything that must pass before a merge, cheapest first.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, tidy};

/// One thing that must pass.
struct Step {
    name: &'static str,
    work: Work,
}

enum Work {
    /// A cargo command.
    Cargo(Command),
    /// The `tidy` task.
    Tidy,
    /// See that the folder with the larger golden data is there.
    LargerGolden(PathBuf),
    /// Nothing, for this reason.
    Skipped(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped,
    NotRun,
}

/// Runs the steps up to the first that fails, and prints a table of all.
pub fn run(root: &Path, with_wgpu_parity: bool) -> Result<()> {
    let mut outcomes = Vec::new();
    let mut failure = None;
    for Step { name, work } in steps(with_wgpu_parity) {
        if failure.is_some() {
            outcomes.push((name, Outcome::NotRun));
            continue;
        }
        let start = Instant::now();
        outcomes.push(match perform(name, work, root) {
            Ok(true) => (name, Outcome::Passed(start.elapsed())),
            Ok(false) => (name, Outcome::Skipped),
            Err(error) => {
                failure = Some(error.context(format!("ci failed at {name}")));
                (name, Outcome::Failed(start.elapsed()))
            }
        });
    }
    print!("\n{}", table(&outcomes));
    failure.map_or(Ok(()), Err)
}

fn steps(with_wgpu_parity: bool) -> Vec<Step> {
    let cargo = |subcommand: &str, args: &[&str]| {
        let mut command = cargo::command(subcommand);
        command.args(args);
        command
    };
    let mut doc = cargo("doc", &["--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    // With DOCS_RS set, the build scripts under Burn's CUDA backend leave out the LLVM bundle they otherwise download:
    // linking needs it, type-checking does not.
    let mut cuda = cargo("check", &["--package", "m3ae-cli", "--package", "m3ae-lab", "--features", "cuda"]);
    cuda.env("DOCS_RS", "1");
    let mut steps = vec![
        Step { name: "fmt", work: Work::Cargo(cargo("fmt", &["--all", "--", "--check"])) },
        Step { name: "tidy", work: Work::Tidy },
        Step {
            name: "clippy",
            work: Work::Cargo(cargo("clippy", &["--workspace", "--all-targets", "--", "-D", "warnings"])),
        },
        Step { name: "larger golden", work: larger_golden(env::var_os("M3AE_GOLDEN").map(PathBuf::from)) },
        Step { name: "test", work: Work::Cargo(cargo("test", &["--workspace"])) },
        Step {
            name: "test parquet",
            work: Work::Cargo(cargo(
                "test",
                &["--package", "m3ae-prepare", "--features", "parquet", "--test", "it", "hub"],
            )),
        },
        // Parity on flex, the default backend, is one of the tests.
        Step { name: "ndarray parity", work: parity("fixture", "ndarray") },
        Step { name: "ndarray bert", work: parity("bert", "ndarray") },
        Step { name: "doc", work: Work::Cargo(doc) },
        Step {
            name: "check wgpu",
            work: Work::Cargo(cargo(
                "check",
                &["--package", "m3ae-cli", "--package", "m3ae-lab", "--features", "wgpu"],
            )),
        },
        Step { name: "check cuda", work: Work::Cargo(cuda) },
    ];
    if with_wgpu_parity {
        steps.push(Step { name: "wgpu parity", work: wgpu_parity() });
    }
    steps
}

/// The comparison with the reference implementation's outputs in `tests/golden/<fixture>`, on a backend.
fn parity(fixture: &str, backend: &str) -> Work {
    let mut command = cargo::command("run");
    command.args(["--package", "m3ae-lab", "--features", backend, "--"]);
    command.args(["parity", &format!("tests/golden/{fixture}"), "--backend", backend]);
    Work::Cargo(command)
}

fn wgpu_parity() -> Work {
    if has_vulkan_driver() {
        parity("fixture", "wgpu")
    } else {
        Work::Skipped("Vulkan has no driver here (on Debian, mesa-vulkan-drivers is one for the CPU)")
    }
}

/// Tests that need the larger golden data run if `M3AE_GOLDEN` names its folder.
fn larger_golden(folder: Option<PathBuf>) -> Work {
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => Work::LargerGolden(folder),
        None => Work::Skipped(
            "M3AE_GOLDEN names no folder, so the tests on data that a clone does not have only print a notice",
        ),
    }
}

/// Whether wgpu will find a device. Only Linux must have installed something for that.
fn has_vulkan_driver() -> bool {
    if !cfg!(target_os = "linux") || env::var_os("VK_DRIVER_FILES").or(env::var_os("VK_ICD_FILENAMES")).is_some() {
        return true;
    }
    ["/usr/share", "/usr/local/share", "/etc"].iter().any(|folder| {
        let manifests = Path::new(folder).join("vulkan/icd.d");
        manifests.read_dir().is_ok_and(|mut entries| entries.next().is_some())
    })
}

/// Performs a step in the workspace's folder. False where there was nothing to do.
fn perform(name: &str, work: Work, root: &Path) -> Result<bool> {
    match work {
        Work::Skipped(reason) => {
            println!("\n== {name}: skipped. {reason}");
            return Ok(false);
        }
        Work::Tidy => {
            println!("\n== {name}");
            tidy::run(root)?;
        }
        Work::LargerGolden(folder) => {
            println!("\n== {name}: {}", folder.display());
            ensure!(
                folder.is_absolute() && folder.is_dir(),
                "M3AE_GOLDEN is {}: it must be the absolute path of a folder (tests/golden/README.md)",
                folder.display()
            );
        }
        Work::Cargo(mut command) => {
            let typed = cargo::describe(&command);
            println!("\n== {name}: {typed}");
            command.current_dir(root).stdin(Stdio::null());
            let status = command.status().with_context(|| format!("cannot start {typed}"))?;
            if !status.success() {
                bail!("{typed} ended with {status}");
            }
        }
    }
    Ok(true)
}

fn table(outcomes: &[(&str, Outcome)]) -> String {
    let mut table = format!("{:<14} {:<8} {:>8}\n", "step", "result", "seconds");
    let mut total = Duration::ZERO;
    for (name, outcome) in outcomes {
        let (result, time) = match outcome {
            Outcome::Passed(time) => ("passed", Some(*time)),
            Outcome::Failed(time) => ("FAILED", Some(*time)),
            Outcome::Skipped => ("skipped", None),
            Outcome::NotRun => ("not run", None),
        };
        let seconds = time.map_or(String::new(), |time| format!("{:.1}", time.as_secs_f64()));
        total += time.unwrap_or_default();
        table += format!("{name:<14} {result:<8} {seconds:>8}").trim_end();
        table += "\n";
    }
    table += &format!("{:<14} {:<8} {:>8.1}\n", "total", "", total.as_secs_f64());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_every_steps_outcome_and_time() {
        let seconds = Duration::from_secs_f64;
        let table = table(&[
            ("fmt", Outcome::Passed(seconds(1.24))),
            ("test", Outcome::Failed(seconds(100.0))),
            ("wgpu parity", Outcome::Skipped),
            ("doc", Outcome::NotRun),
        ]);
        let expected = "\
step           result    seconds
fmt            passed        1.2
test           FAILED      100.0
wgpu parity    skipped
doc            not run
total                      101.2
";
        assert_eq!(table, expected);
    }

    #[test]
    fn golden_data_that_is_announced_must_be_there() {
        let fails =
            |folder: &str| perform("larger golden", larger_golden(Some(folder.into())), Path::new(".")).is_err();
        assert!(fails("/no/such/folder") && fails("relative"));
        let here = env!("CARGO_MANIFEST_DIR").into();
        assert!(perform("larger golden", larger_golden(Some(here)), Path::new(".")).unwrap());
        for nothing in [None, Some(PathBuf::new())] {
            assert!(!perform("larger golden", larger_golden(nothing), Path::new(".")).unwrap());
        }
    }
}
