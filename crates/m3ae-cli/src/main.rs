//! The `m3ae` binary. `cargo xtask <command>` builds it with the chosen backend and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    m3ae_cli::main()
}
