//! SIGINT and SIGTERM: the first one asks the run to stop, a second one ends the process. SIGPIPE, where nobody reads
//! the output any more, asks once too.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown, register_usize};
use signal_hook::low_level::unregister;

/// Turns true when the process was asked to stop.
#[derive(Clone)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    /// The newest signal that [`Stop::signal`] has not given yet; 0 for none.
    newest: Arc<AtomicUsize>,
    /// What is done at a signal now.
    actions: Arc<Mutex<Vec<SigId>>>,
}

impl Stop {
    /// Listens for signals from now on.
    pub fn on_signal() -> Result<Self> {
        let stop = Self { flag: Arc::default(), newest: Arc::default(), actions: Arc::default() };
        stop.exit_at_second().context("cannot listen for signals")?;
        #[cfg(unix)]
        register(signal_hook::consts::SIGPIPE, Arc::clone(&stop.flag)).context("cannot listen for signals")?;
        Ok(stop)
    }

    /// What the run looks at after each step.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Whether it was asked to stop.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// The second signal ends the process.
    pub fn exit_at_second(&self) -> std::io::Result<()> {
        // In this order: the first signal finds the flag false, and sets it; the second finds it true, and exits as
        // shells expect.
        self.replace(|signal| {
            let exit = register_conditional_shutdown(signal, 128 + signal, Arc::clone(&self.flag))?;
            Ok([exit, register(signal, Arc::clone(&self.flag))?])
        })
    }

    /// The second signal is told by [`signal`](Self::signal), to one who has to tidy up before the process ends.
    #[cfg(unix)]
    pub fn tell_second(&self) -> std::io::Result<()> {
        self.newest.store(0, Ordering::Relaxed);
        self.replace(|signal| {
            let newest = register_usize(signal, Arc::clone(&self.newest), usize::try_from(signal).unwrap_or_default())?;
            Ok([newest, register(signal, Arc::clone(&self.flag))?])
        })
    }

    /// The signal that came since the last call.
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
