//! Calling cargo.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

/// The folder of the workspace.
pub fn workspace_root() -> Result<PathBuf> {
    // Cargo sets the variable when it runs us; it is right also where the workspace was moved after the build.
    let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&here).parent().context("xtask is not in a workspace")?;
    Ok(root.to_path_buf())
}

/// The cargo that runs us, for a command of its own.
pub fn command(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo told us about this package would look like the user's settings to the build scripts under it, and make
    // them run again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.arg(subcommand);
    command
}

/// How a command would be typed.
pub fn describe(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some(format!("{}={:?}", name.display(), value?)));
    let args = command.get_args().map(|arg| arg.display().to_string());
    set.chain(["cargo".to_owned()]).chain(args).collect::<Vec<_>>().join(" ")
}

/// Ends this process as `command`: with its output, its signals and its exit code.
#[cfg(unix)]
pub fn hand_over(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    // Takes this process's place: a signal to it reaches the command itself. Returns only where that failed.
    Err(command.exec()).with_context(|| format!("cannot start {}", describe(&command)))
}

/// Ends this process as `command`: with its output and its exit code.
#[cfg(not(unix))]
pub fn hand_over(mut command: Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("cannot start {}", describe(&command)))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
