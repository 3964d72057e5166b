//! When checkpoints are written, where, and which are kept.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use m3ae_files::remove_folder;

use crate::checkpoint::{Snapshot, list, path_of};
use crate::error::TrainError;
use crate::recipe::{CheckpointSection, OnFailure};

/// Folder of a run's checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";

/// Writes checkpoints, one at a time, beside the training where that is wanted.
pub(crate) struct Saver {
    folder: PathBuf,
    section: CheckpointSection,
    last: Instant,
    /// The newest step that was saved or is being saved.
    saved_step: Option<usize>,
    pending: Option<JoinHandle<Result<(), TrainError>>>,
}

impl Saver {
    pub(crate) fn new(run: &Path, section: &CheckpointSection, saved_step: Option<usize>) -> Result<Self, TrainError> {
        let folder = run.join(CHECKPOINTS);
        std::fs::create_dir_all(&folder).map_err(TrainError::io(&folder))?;
        Ok(Self { folder, section: section.clone(), last: Instant::now(), saved_step, pending: None })
    }

    /// Whether a checkpoint is due after `step`.
    pub(crate) fn is_due(&self, step: usize) -> bool {
        let by_steps = self.section.every > 0 && step.is_multiple_of(self.section.every);
        let minutes = self.section.minutes;
        by_steps || (minutes > 0.0 && self.last.elapsed() >= Duration::from_secs_f64(minutes * 60.0))
    }

    /// Writes a checkpoint, in the background if so configured, once the one before is written. Gives the failure of the one
    /// before, or of this one, where the run goes on nevertheless.
    pub(crate) fn save(&mut self, snapshot: Snapshot) -> Result<Option<TrainError>, TrainError> {
        let step = snapshot.progress.step;
        if self.saved_step == Some(step) {
            return Ok(None);
        }
        let earlier = self.wait()?;
        (self.last, self.saved_step) = (Instant::now(), Some(step));
        let (folder, keep) = (self.folder.clone(), self.section.keep);
        let write = move || {
            snapshot.write(&path_of(&folder, "step", step))?;
            list(&folder, "step").iter().skip(keep).try_for_each(|(_, path)| Ok(remove_folder(path)?))
        };
        if !self.section.background {
            let now = write();
            let now = self.judge(now)?;
            return Ok(earlier.or(now));
        }
        let thread = thread::Builder::new().name("m3ae-save".into()).spawn(write);
        self.pending = Some(thread.map_err(TrainError::io(&self.folder))?);
        Ok(earlier)
    }

    /// Writes the best weights now, and removes the former best.
    pub(crate) fn save_best(&mut self, snapshot: &Snapshot) -> Result<Option<TrainError>, TrainError> {
        let step = snapshot.progress.step;
        let written = snapshot.write(&path_of(&self.folder, "best", step)).and_then(|()| {
            let others = list(&self.folder, "best");
            others.iter().filter(|(other, _)| *other != step).try_for_each(|(_, path)| Ok(remove_folder(path)?))
        });
        self.judge(written)
    }

    /// Where the best weights of `step` are.
    pub(crate) fn best(&self, step: usize) -> PathBuf {
        path_of(&self.folder, "best", step)
    }

    /// Waits until the checkpoint that is being written is on disk.
    pub(crate) fn wait(&mut self) -> Result<Option<TrainError>, TrainError> {
        let Some(thread) = self.pending.take() else { return Ok(None) };
        let written = thread.join().unwrap_or(Err(TrainError::SaverPanicked));
        self.judge(written)
    }

    fn judge(&mut self, written: Result<(), TrainError>) -> Result<Option<TrainError>, TrainError> {
        match written {
            Ok(()) => Ok(None),
            Err(error) => {
                self.saved_step = None;
                match self.section.on_failure {
                    OnFailure::Continue => Ok(Some(error)),
                    OnFailure::Stop => Err(error),
                }
            }
        }
    }
}
