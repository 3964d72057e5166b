//! Printing to a pipe that may be closed, as by `| head -1`.
//!
//! Rust's runtime ignores SIGPIPE, and `println!` then panics on a closed pipe. A command that only prints ends on that
//! signal, as other programs do ([`end_with_reader`]). A command that writes results prints with [`say!`], which
//! ignores a closed pipe. A training run also takes the signal as a request to stop and save
//! ([`Stop`](crate::training::Stop)).

use std::fmt::Arguments;
use std::io::{self, Write};

/// From now on, SIGPIPE ends this process when it writes to a closed pipe.
pub fn end_with_reader() -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::sync::{Arc, atomic::AtomicBool};
        let always = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(signal_hook::consts::SIGPIPE, always)?;
    }
    Ok(())
}

/// Prints a line on standard output; a closed pipe is ignored.
#[macro_export]
macro_rules! say {
    () => { $crate::output::write_line(&mut std::io::stdout(), format_args!("")) };
    ($($text:tt)*) => { $crate::output::write_line(&mut std::io::stdout(), format_args!($($text)*)) };
}

/// Prints a line on standard error; a closed pipe is ignored.
#[macro_export]
macro_rules! say_error {
    ($($text:tt)*) => { $crate::output::write_line(&mut std::io::stderr(), format_args!($($text)*)) };
}

pub use {crate::say, crate::say_error};

/// Writes a line and ignores an error.
pub fn write_line(out: &mut dyn Write, text: Arguments<'_>) {
    let _ = out.write_fmt(format_args!("{text}\n")).and_then(|()| out.flush());
}

/// An error and its causes in one line. A cause that the message already ends with is not repeated.
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
    fn a_cause_is_not_repeated() {
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
    fn a_line_is_written_whole_and_a_closed_output_is_ignored() {
        let mut written = Vec::new();
        write_line(&mut written, format_args!("a {}", 1));
        assert_eq!(written, b"a 1\n");
        write_line(&mut Closed, format_args!("a"));
    }
}
