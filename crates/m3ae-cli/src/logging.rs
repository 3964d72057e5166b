//! Logs through `tracing`: warnings on stderr (more with RUST_LOG), everything of ours into the run's log file.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

/// The log file of the run that goes on: one process may do several runs after each other.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// Logs into `path` from now on, behind what stands there.
pub fn into_file(path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path).with_context(|| path.display().to_string())?;
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let filter = |default: &str| EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let colours = io::stderr().is_terminal();
        let terminal = fmt::layer().with_writer(io::stderr).with_ansi(colours).with_target(false);
        let log = fmt::layer().with_writer(|| Current).with_ansi(false);
        let registry = registry().with(terminal.with_filter(filter("warn"))).with(log.with_filter(filter("info")));
        // Another subscriber is there already only where this is not the program that m3ae is.
        let _ = registry.try_init();
    });
    Ok(())
}

/// Writes into the current log file, if there is one.
struct Current;

impl Write for Current {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *FILE.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
