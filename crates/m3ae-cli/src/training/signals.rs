//! SIGINT and SIGTERM: the first asks the run to stop and save, a second ends the process. SIGPIPE, when the output
//! pipe is closed, also asks the run to stop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown, register_usize};
use signal_hook::low_level::unregister;

/// The request to stop that signals and keys make.
#[derive(Clone)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// The newest signal that [`Stop::signal`] has not returned yet; 0 for none.
    newest: Arc<AtomicUsize>,
    /// The actions that are registered for signals.
    actions: Arc<Mutex<Vec<SigId>>>,
}

impl Stop {
    /// Starts to listen for signals.
    pub fn on_signal() -> Result<Self> {
        let stop = Self { flag: Arc::default(), newest: Arc::default(), actions: Arc::default() };
        stop.exit_at_second().context("cannot listen for signals")?;
        #[cfg(unix)]
        register(signal_hook::consts::SIGPIPE, Arc::clone(&stop.flag)).context("cannot listen for signals")?;
        Ok(stop)
    }

    /// The flag that the run checks after each step.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Whether the process was asked to stop.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// From now on a second signal ends the process.
    pub fn exit_at_second(&self) -> std::io::Result<()> {
        // In this order: the first signal finds the flag false and sets it; the second finds it true and exits with the
        // code that shells expect.
        self.replace(|signal| {
            let exit = register_conditional_shutdown(signal, 128 + signal, Arc::clone(&self.flag))?;
            Ok([exit, register(signal, Arc::clone(&self.flag))?])
        })
    }

    /// From now on [`signal`](Self::signal) returns signals, for a caller that must clean up before the process ends.
    #[cfg(unix)]
    pub fn report_signals(&self) -> std::io::Result<()> {
        self.newest.store(0, Ordering::Relaxed);
        self.replace(|signal| {
            let newest = register_usize(signal, Arc::clone(&self.newest), usize::try_from(signal).unwrap_or_default())?;
            Ok([newest, register(signal, Arc::clone(&self.flag))?])
        })
    }

    /// The signal that arrived since the last call.
    #[cfg(unix)]
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.newest.swap(0, Ordering::Relaxed)).ok().filter(|&signal| signal != 0)
    }

    fn replace(&self, listen: impl Fn(i32) -> std::io::Result<[SigId; 2]>) -> std::io::Result<()> {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        actions.drain(..).for_each(|action| {
            unregister(action);
        });
        for signal in [SIGINT, SIGTERM] {
            actions.extend(listen(signal)?);
        }
        Ok(())
    }
}
