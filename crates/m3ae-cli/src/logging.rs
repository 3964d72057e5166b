//! Logging with `tracing`: warnings on stderr (more with RUST_LOG), messages of level info into the run's log file.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, registry};

/// The log file of the current run; a process can do several runs in turn.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// Lines for stderr, held back while the dashboard has the terminal.
static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// From now on, appends the log to `path`.
pub fn into_file(path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path).with_context(|| path.display().to_string())?;
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let filter = |default: &str| EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let colours = io::stderr().is_terminal();
        let terminal = fmt::layer().with_writer(|| Terminal).with_ansi(colours).with_target(false);
        let log = fmt::layer().with_writer(|| Current).with_ansi(false);
        let registry = registry().with(terminal.with_filter(filter("warn"))).with(log.with_filter(filter("info")));
        // Fails only if another program that uses this library has its own subscriber.
        let _ = registry.try_init();
    });
    Ok(())
}

/// From now on, holds lines for stderr back for [`held`].
#[cfg(unix)]
pub fn hold() {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// Writes to stderr again; returns the lines held back since the last call of [`held`].
#[cfg(unix)]
pub fn release() -> Vec<String> {
    let lines = held();
    *HELD.lock().unwrap_or_else(PoisonError::into_inner) = None;
    lines
}

/// The lines held back since the last call.
#[cfg(unix)]
pub fn held() -> Vec<String> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let text = held.as_mut().map(std::mem::take).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(without_colours).collect()
}

/// A line without its escape sequences (from ESC `[` to a letter).
#[cfg(unix)]
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).get(1..).unwrap_or("")
    })
}

/// Writes to stderr, or holds back while the dashboard has the terminal.
struct Terminal;

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *HELD.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) => held.write(bytes),
            // A closed stderr is no error: the log file has the warnings.
            None => Ok(io::stderr().write(bytes).unwrap_or(bytes.len())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

/// Writes to the current log file, if there is one.
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

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn colours_are_taken_out() {
        assert_eq!(super::without_colours("\x1b[33mWARN\x1b[0m disk \x1b[1;3mfull\x1b[0m"), "WARN disk full");
        assert_eq!(super::without_colours("plain [text]"), "plain [text]");
    }
}
