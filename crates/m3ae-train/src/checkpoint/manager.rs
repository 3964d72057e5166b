//! When checkpoints are written, where, and which are kept.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use m3ae_files::{FilesError, clear_leftovers, remove_folder};

use super::{CheckpointError, RunCheckpoint, Snapshot, read_progress};
use crate::recipe::{CheckpointSection, OnFailure};

/// Folder of a run's checkpoints.
const CHECKPOINTS: &str = "checkpoints";
/// Checkpoints to resume from: `step-000400`.
const STEP: &str = "step";
/// The best weights so far: `best-000400`.
const BEST: &str = "best";

/// Writes a run's checkpoints, one at a time and beside the training where that is wanted, and removes old ones:
///
/// ```text
/// checkpoints/step-000200, step-000400    the newest ones, as many as `checkpoint.keep` says
/// checkpoints/best-000300                 the best weights, of each checkpoint above and of the run
/// checkpoints/damaged-step-000500         not as it was written, found when resuming
/// ```
#[derive(Debug)]
pub(crate) struct CheckpointManager {
    folder: PathBuf,
    section: CheckpointSection,
    /// When the last checkpoint was begun.
    last: Instant,
    /// The newest step that was saved or is being saved.
    saved_step: Option<usize>,
    pending: Option<JoinHandle<Result<(), CheckpointError>>>,
}

impl CheckpointManager {
    /// The checkpoints of the run in the folder `run`, resumed from a checkpoint of `resumed_at`.
    pub(crate) fn new(
        run: &Path,
        section: &CheckpointSection,
        resumed_at: Option<usize>,
    ) -> Result<Self, CheckpointError> {
        let folder = run.join(CHECKPOINTS);
        fs::create_dir_all(&folder).map_err(FilesError::io("create", &folder))?;
        Ok(Self { folder, section: section.clone(), last: Instant::now(), saved_step: resumed_at, pending: None })
    }

    /// Whether a checkpoint is due after `step`.
    pub(crate) fn is_due(&self, step: usize) -> bool {
        let by_steps = self.section.every > 0 && step.is_multiple_of(self.section.every);
        let minutes = self.section.minutes;
        by_steps || (minutes > 0.0 && self.last.elapsed() >= Duration::from_secs_f64(minutes * 60.0))
    }

    /// Writes a checkpoint, in the background if so configured, once the one before is written. Returns the failure of
    /// the one before, or of this one, where the run goes on nevertheless.
    pub(crate) fn save(&mut self, snapshot: Snapshot) -> Result<Option<CheckpointError>, CheckpointError> {
        let step = snapshot.progress.step;
        if self.saved_step == Some(step) {
            return Ok(None);
        }
        let earlier = self.wait()?;
        (self.last, self.saved_step) = (Instant::now(), Some(step));
        let (folder, keep) = (self.folder.clone(), self.section.keep);
        let write = move || {
            snapshot.write(&path_of(&folder, STEP, step))?;
            remove_old(&folder, step, keep)
        };
        if !self.section.background {
            let now = write();
            let now = self.apply_policy(now)?;
            return Ok(earlier.or(now));
        }
        let thread = thread::Builder::new().name("m3ae-save".into()).spawn(write);
        self.pending = Some(thread.map_err(CheckpointError::Thread)?);
        Ok(earlier)
    }

    /// Writes the best weights now. The former best weights stay until no checkpoint names them any more.
    pub(crate) fn save_best(&mut self, snapshot: &Snapshot) -> Result<Option<CheckpointError>, CheckpointError> {
        let written = snapshot.write(&self.best(snapshot.progress.step));
        self.apply_policy(written)
    }

    /// The place of the best weights, those of `step`.
    pub(crate) fn best(&self, step: usize) -> PathBuf {
        path_of(&self.folder, BEST, step)
    }

    /// Waits until the checkpoint that is being written is on disk.
    pub(crate) fn wait(&mut self) -> Result<Option<CheckpointError>, CheckpointError> {
        let Some(thread) = self.pending.take() else { return Ok(None) };
        let written = thread.join().unwrap_or(Err(CheckpointError::ThreadPanicked));
        self.apply_policy(written)
    }

    /// Returns a failure where the run goes on, and fails where it stops: `checkpoint.on_failure`.
    fn apply_policy(
        &mut self,
        written: Result<(), CheckpointError>,
    ) -> Result<Option<CheckpointError>, CheckpointError> {
        let Err(error) = written else { return Ok(None) };
        self.saved_step = None;
        match self.section.on_failure {
            OnFailure::Continue => Ok(Some(error)),
            OnFailure::Stop => Err(error),
        }
    }
}

/// The newest checkpoint of the run in the folder `run` that is whole; `None` if there are no checkpoints. Removes what
/// killed processes left half-written. Newer checkpoints that are damaged are reported to `notice` and renamed, so that
/// they no longer count.
///
/// The caller holds the run's lock: the leftover of a process that still writes is no leftover.
///
/// # Errors
/// All checkpoints are damaged (and none is renamed), or something cannot be removed or renamed.
pub(crate) fn newest_checkpoint(
    run: &Path,
    notice: &mut dyn FnMut(&str),
) -> Result<Option<RunCheckpoint>, CheckpointError> {
    let folder = run.join(CHECKPOINTS);
    clear_leftovers(&folder)?;
    let mut damaged: Vec<PathBuf> = Vec::new();
    for (_, path) in list(&folder, STEP) {
        match RunCheckpoint::verify(&path) {
            Ok(checkpoint) => {
                damaged.iter().try_for_each(|path| set_aside(path))?;
                return Ok(Some(checkpoint));
            }
            Err(problem) => {
                notice(&format!("{} is damaged and skipped: {problem}", path.display()));
                damaged.push(path);
            }
        }
    }
    match damaged.is_empty() {
        true => Ok(None),
        false => Err(CheckpointError::NoneWhole { folder: run.to_owned() }),
    }
}

/// Renames a damaged checkpoint: `damaged-step-000400`.
fn set_aside(path: &Path) -> Result<(), CheckpointError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("damaged-{name}"));
    if aside.exists() {
        remove_folder(&aside)?;
    }
    Ok(fs::rename(path, &aside).map_err(FilesError::io("rename", path))?)
}

/// Removes all but the newest `keep` checkpoints up to that of `step`, then the best weights that none of these names.
fn remove_old(folder: &Path, step: usize, keep: usize) -> Result<(), CheckpointError> {
    let mut checkpoints = list(folder, STEP);
    checkpoints.retain(|(other, _)| *other <= step);
    for (_, path) in checkpoints.iter().skip(keep) {
        remove_folder(path)?;
    }
    let best_of = |path: &PathBuf| read_progress(path).ok().and_then(|progress| progress.best).map(|best| best.step);
    let named: BTreeSet<usize> = checkpoints.iter().take(keep).filter_map(|(_, path)| best_of(path)).collect();
    for (best, path) in list(folder, BEST) {
        // Later ones are of validations since this checkpoint was begun.
        if best < step && !named.contains(&best) {
            remove_folder(&path)?;
        }
    }
    Ok(())
}

/// The checkpoints of a kind in a folder, newest first.
fn list(folder: &Path, kind: &str) -> Vec<(usize, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let step = name.strip_prefix(kind)?.strip_prefix('-')?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

fn path_of(folder: &Path, kind: &str, step: usize) -> PathBuf {
    folder.join(format!("{kind}-{step:06}"))
}

#[cfg(test)]
mod tests;
