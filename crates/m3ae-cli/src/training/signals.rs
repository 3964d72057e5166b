//! SIGINT and SIGTERM: the first one asks the run to stop, a second one ends the process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

/// Turns true when the process was asked to stop.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for signals from now on.
    pub fn on_signal() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag false, and sets it; the second finds it true, and exits as shells expect.
            register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))
                .and_then(|_| register(signal, Arc::clone(&flag)))
                .context("cannot listen for signals")?;
        }
        Ok(Self(flag))
    }

    /// What the run looks at after each step.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}
