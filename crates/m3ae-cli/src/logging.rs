//! Logs through `tracing`: warnings on stderr (more with RUST_LOG), everything of ours into the run's log file.

use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

/// Starts logging; once per process.
pub fn start(file: Option<&Path>) -> Result<()> {
    let filter = |default: &str| EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal();
    let terminal =
        fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_target(false).with_filter(filter("warn"));
    let log = match file {
        Some(path) => {
            let file =
                File::options().create(true).append(true).open(path).with_context(|| path.display().to_string())?;
            Some(fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).with_filter(filter("info")))
        }
        None => None,
    };
    registry().with(terminal).with(log).try_init().context("logging was started twice")
}
