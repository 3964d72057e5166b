//! Output whose reader is gone, such as `| head -1`.
//!
//! The runtime ignores SIGPIPE, after which `println!` panics on a closed pipe. Here a command that only prints ends by that
//! signal, as other programs do ([`end_with_reader`]). A run that trains must not be lost for it: it prints with [`say!`], which
//! passes over what nobody reads, and takes the signal as a request to stop and save
//! ([`Stop`](crate::training::Stop)).

use std::fmt::Arguments;
use std::io::{self, Write};

/// Ends this process by SIGPIPE when it writes to a pipe that nobody reads.
pub fn end_with_reader() -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::sync::{Arc, atomic::AtomicBool};
        let always = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(signal_hook::consts::SIGPIPE, always)?;
    }
    Ok(())
}

/// A line on standard output, for whoever still reads it.
#[macro_export]
macro_rules! say {
    () => { $crate::output::write_line(&mut std::io::stdout(), format_args!("")) };
    ($($text:tt)*) => { $crate::output::write_line(&mut std::io::stdout(), format_args!($($text)*)) };
}

/// A line on standard error, for whoever still reads it.
#[macro_export]
macro_rules! say_error {
    ($($text:tt)*) => { $crate::output::write_line(&mut std::io::stderr(), format_args!($($text)*)) };
}

pub use {crate::say, crate::say_error};

/// Writes a line; an error to do so is no reason for anything else to fail.
pub fn write_line(out: &mut dyn Write, text: Arguments<'_>) {
    let _ = out.write_fmt(format_args!("{text}\n")).and_then(|()| out.flush());
}

/// An error and its causes in one line, each said once: some messages end with their cause's.
pub fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.ends_with(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("no such file").context("a.png: no such file").context("--image");
        assert_eq!(chain(&error), "--image: a.png: no such file");
        assert_eq!(chain(&anyhow::anyhow!("alone")), "alone");
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_line_is_written_whole_and_a_closed_output_passed_over() {
        let mut written = Vec::new();
        write_line(&mut written, format_args!("a {}", 1));
        assert_eq!(written, b"a 1\n");
        write_line(&mut Closed, format_args!("a"));
    }
}
