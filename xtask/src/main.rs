//! The tasks of this workspace: `cargo xtask <task>`. Run it without a task to see them all.
//!
//! A task is thin: it puts together a cargo command and hands over to it. What the tasks run lives in the binaries
//! `m3ae` and `m3ae-lab` and in the crates under them.

mod args;
mod binary;
mod cargo;
mod ci;
mod tidy;

use std::process::ExitCode;

use args::Task;

const HELP: &str = "\
Two commands are all you need:

  cargo xtask pretrain    builds m3ae and pre-trains a model; without arguments on synthetic data, on the CPU
  cargo xtask test        runs every test of the workspace, with the build that pretrain made

Any command of the m3ae binary is a task: `cargo xtask <command> [arguments]` builds m3ae where that is needed, runs it in
the current folder and ends with its exit code. `cargo xtask m3ae --help` lists the commands; `cargo xtask benchmark
--checkpoint <model>` scores a pre-trained model on every published task at once. Two arguments also decide what is built:

  --backend <name>   compiles this backend in, and m3ae computes on it: flex (the default), ndarray, wgpu, vulkan,
                     metal, cuda or rocm
  --release          builds with the release profile

Tasks that are not commands of m3ae:

  bench <what>         measurements, each with one command (binary m3ae-lab); `cargo xtask bench --help` lists them
  parity <folder>      compares our outputs with the reference implementation's, tensor by tensor (binary m3ae-lab)
  test [arguments]     cargo test --workspace, with these arguments
  ci [--wgpu-parity]   what must pass before a merge: formatting, tidy, clippy, tests, parity on ndarray, documentation, and
                       that the wgpu and cuda backends compile; --wgpu-parity also checks parity on wgpu if Vulkan has a driver
  tidy [--fix]         checks the form of sources and pages: width, length, import order, module names, stubs, references that
                       lead nowhere; --fix writes the crates' READMEs from their documentation
  m3ae <arguments>     the m3ae binary with these arguments
  help                 this text
";

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    let root = cargo::workspace_root()?;
    match args::parse(std::env::args_os().skip(1))? {
        Task::Help => print!("{HELP}"),
        Task::Test(args) => return binary::test(&root, &args),
        Task::Binary(run) => return binary::run(&root, &run),
        Task::Ci { wgpu_parity } => ci::run(&root, wgpu_parity)?,
        Task::Tidy { fix: true } => tidy::fix(&root)?,
        Task::Tidy { fix: false } => tidy::run(&root)?,
    }
    Ok(ExitCode::SUCCESS)
}
