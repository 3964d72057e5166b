//! What the command line asks for.

use std::ffi::{OsStr, OsString};

use anyhow::{Context, Result, bail};

/// The backends that m3ae-cli can be built with, each a cargo feature of the same name.
pub const BACKENDS: [&str; 7] = ["flex", "ndarray", "wgpu", "vulkan", "metal", "cuda", "rocm"];

/// The backend that is compiled in without asking.
const DEFAULT_BACKEND: &str = "flex";

/// One invocation.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Say what can be done.
    Help,
    /// `cargo test` with these arguments.
    Test(Vec<OsString>),
    /// Everything that must pass before a merge.
    Ci {
        /// Also run the parity check on wgpu.
        wgpu_parity: bool,
    },
    /// Check the sources' form.
    Tidy {
        /// Write the crates' READMEs instead.
        fix: bool,
    },
    /// A command of one of the binaries.
    Binary(BinaryRun),
}

/// The package of the `m3ae` binary.
pub const M3AE: &str = "m3ae-cli";

/// The package of the binary with measurements and parity, and its commands.
pub const LAB: &str = "m3ae-lab";
const LAB_COMMANDS: [&str; 2] = ["bench", "parity"];

/// How to build a binary, and its arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct BinaryRun {
    /// The package to run.
    pub package: &'static str,
    /// Build with the release profile.
    pub release: bool,
    /// The cargo feature to add, where the backend is not compiled in anyway.
    pub feature: Option<&'static str>,
    /// The binary's arguments, the command first.
    pub args: Vec<OsString>,
}

/// Reads the arguments after `cargo xtask`.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Task> {
    let args: Vec<OsString> = args.into_iter().collect();
    let Some((task, rest)) = args.split_first() else { return Ok(Task::Help) };
    match task.to_str() {
        Some("--help" | "-h") => Ok(Task::Help),
        // `help pretrain` asks m3ae about its command.
        Some("help") if rest.is_empty() => Ok(Task::Help),
        Some("test") => Ok(Task::Test(rest.to_vec())),
        Some("tidy") => match rest {
            [] => Ok(Task::Tidy { fix: false }),
            [flag] if flag == "--fix" => Ok(Task::Tidy { fix: true }),
            _ => bail!("tidy takes no argument but --fix"),
        },
        Some("ci") => match rest {
            [] => Ok(Task::Ci { wgpu_parity: false }),
            [flag] if flag == "--wgpu-parity" => Ok(Task::Ci { wgpu_parity: true }),
            _ => bail!("ci takes no argument but --wgpu-parity"),
        },
        Some("m3ae") => binary_run(M3AE, rest).map(Task::Binary),
        Some("lab") => binary_run(LAB, rest).map(Task::Binary),
        _ => {
            let mut run = binary_run(M3AE, &args)?;
            if run.command().is_some_and(|command| LAB_COMMANDS.contains(&command)) {
                run.package = LAB;
            }
            Ok(Task::Binary(run))
        }
    }
}

impl BinaryRun {
    /// The binary's command: its first argument that is neither an option nor the backend's name.
    fn command(&self) -> Option<&str> {
        let mut args = self.args.iter().map(|arg| arg.to_str());
        while let Some(arg) = args.next() {
            match arg {
                Some("--backend") => _ = args.next(),
                Some(option) if option.starts_with('-') => {}
                command => return command,
            }
        }
        None
    }
}

/// Takes what concerns the build out of the binary's arguments. `--backend` stays among them; what follows `--` is the
/// binary's alone.
fn binary_run(package: &'static str, args: &[OsString]) -> Result<BinaryRun> {
    let mut run = BinaryRun { package, release: false, feature: None, args: Vec::new() };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.to_str() {
            Some("--") => {
                run.args.push(arg.clone());
                run.args.extend(rest.cloned());
                break;
            }
            Some("--release") => {
                run.release = true;
                continue;
            }
            Some("--backend") => {
                let name = rest.next().with_context(|| format!("--backend needs a name: {}", BACKENDS.join(", ")))?;
                run.feature = feature(name)?;
                run.args.extend([arg.clone(), name.clone()]);
                continue;
            }
            Some(text) => {
                if let Some(name) = text.strip_prefix("--backend=") {
                    run.feature = feature(OsStr::new(name))?;
                }
            }
            None => {}
        }
        run.args.push(arg.clone());
    }
    Ok(run)
}

/// The cargo feature that brings a backend, where it takes one. An unknown name fails here, before a long build.
fn feature(name: &OsStr) -> Result<Option<&'static str>> {
    match BACKENDS.into_iter().find(|backend| name == *backend) {
        Some(DEFAULT_BACKEND) => Ok(None),
        Some(backend) => Ok(Some(backend)),
        None => bail!("there is no backend {}: it is one of {}", name.display(), BACKENDS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Task> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn binary(line: &str) -> BinaryRun {
        match parse_line(line).unwrap() {
            Task::Binary(run) => run,
            task => panic!("{line} is {task:?}"),
        }
    }

    #[test]
    fn without_a_task_there_is_help() {
        for line in ["", "help", "--help", "-h"] {
            assert_eq!(parse_line(line).unwrap(), Task::Help, "{line}");
        }
    }

    #[test]
    fn whatever_is_no_task_goes_to_the_binary_unchanged() {
        for line in [
            "pretrain",
            "benchmark --checkpoint x",
            "info model.safetensors",
            "help pretrain",
            "pretrian --seed 3",
            "data --help",
        ] {
            let expected = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(
                binary(line),
                BinaryRun { package: M3AE, release: false, feature: None, args: expected },
                "{line}"
            );
        }
    }

    #[test]
    fn bench_and_parity_are_commands_of_the_lab() {
        for line in
            ["bench step", "parity folder", "--backend wgpu parity folder", "--backend=wgpu --release bench all"]
        {
            assert_eq!(binary(line).package, LAB, "{line}");
        }
        for line in ["benchmark", "pretrain bench", "--backend wgpu pretrain", "m3ae --help", "m3ae parity"] {
            assert_eq!(binary(line).package, M3AE, "{line}");
        }
        assert_eq!((binary("lab --help").package, binary("lab --help").args), (LAB, vec!["--help".into()]));
    }

    #[test]
    fn m3ae_names_the_binary_itself() {
        assert_eq!(binary("m3ae --help").args, ["--help"]);
        assert_eq!(binary("m3ae test --release").args, ["test"]);
    }

    #[test]
    fn the_backend_selects_the_feature_and_is_passed_on() {
        for (line, feature, args) in [
            ("pretrain --backend wgpu --seed 1", Some("wgpu"), "pretrain --backend wgpu --seed 1"),
            ("pretrain --backend=cuda", Some("cuda"), "pretrain --backend=cuda"),
            ("--backend rocm parity", Some("rocm"), "--backend rocm parity"),
            ("pretrain --backend flex", None, "pretrain --backend flex"),
        ] {
            let run = binary(line);
            assert_eq!((run.feature, run.release), (feature, false), "{line}");
            assert_eq!(run.args, args.split_whitespace().collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn rejects_a_backend_that_does_not_exist_before_building() {
        for line in ["pretrain --backend", "pretrain --backend gpu", "pretrain --backend="] {
            let error = parse_line(line).unwrap_err().to_string();
            assert!(error.contains("flex, ndarray, wgpu"), "{error}");
        }
    }

    #[test]
    fn release_is_taken_wherever_it_stands() {
        for line in ["--release pretrain --seed 1", "pretrain --release --seed 1", "pretrain --seed 1 --release"] {
            let run = binary(line);
            assert!(run.release, "{line}");
            assert_eq!(run.args, ["pretrain", "--seed", "1"], "{line}");
        }
    }

    #[test]
    fn what_follows_two_dashes_is_the_binarys_alone() {
        let run = binary("answer -- --release --backend gpu");
        assert_eq!((run.release, run.feature), (false, None));
        assert_eq!(run.args, ["answer", "--", "--release", "--backend", "gpu"]);
    }

    #[test]
    fn the_arguments_of_test_are_cargos() {
        let expected = ["--release", "-p", "m3ae-model"].map(OsString::from).to_vec();
        assert_eq!(parse_line("test --release -p m3ae-model").unwrap(), Task::Test(expected));
    }

    #[test]
    fn ci_and_tidy_reject_arguments_they_do_not_know() {
        assert_eq!(parse_line("ci --wgpu-parity").unwrap(), Task::Ci { wgpu_parity: true });
        assert_eq!(parse_line("ci").unwrap(), Task::Ci { wgpu_parity: false });
        assert!(parse_line("ci --fast").is_err());
        assert_eq!(parse_line("tidy --fix").unwrap(), Task::Tidy { fix: true });
        assert!(parse_line("tidy now").is_err());
    }
}
