//! Event files that TensorBoard reads.
//!
//! A file is a sequence of records, and each record one protobuf message `Event`:
//! ```text
//! record   length of the data, u64 | masked CRC-32C of these 8 bytes, u32 | data | masked CRC-32C of the data, u32
//!          (little-endian)
//! Event    1: wall_time, double   2: step, int64   3: file_version, string   5: Summary   7: SessionLog
//! Summary  1: Value, repeated { 1: tag, string   2: simple_value, float }
//! ```
//! The first event says `brain.Event:2`. TensorBoard reads a folder's files in the order of their names, which begin
//! with the time in seconds: a run that goes on writes a new file with a later name, never into an old one, whose end
//! may be torn.

mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::ReportError;
use record::{Message, frame};

/// What file names begin with; TensorBoard looks for `tfevents` in them.
const PREFIX: &str = "events.out.tfevents.";
/// `SessionLog.status`: events of this step and later ones that earlier files hold were undone.
const SESSION_START: u64 = 1;

/// Writes one event file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Begins a new file in `folder`, which is made if it is not there. Its name comes after those of the files there
    /// already.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn create(folder: &Path) -> Result<Self, ReportError> {
        fs::create_dir_all(folder).map_err(ReportError::io(folder))?;
        let mut second = seconds_now().max(latest(folder)?.map_or(0, |second| second.saturating_add(1)));
        let (path, file) = loop {
            let path = folder.join(format!("{PREFIX}{second:010}.m3ae.{}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                // Another writer was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => second += 1,
                Err(source) => return Err(ReportError::Io { path, source }),
            }
        };
        let mut writer = Self { path, file: BufWriter::new(file) };
        writer.write(&version_event(wall_time_now()))?;
        writer.flush()?;
        Ok(writer)
    }

    /// Begins a new file for a run that goes on after `step` steps: of the files before it, TensorBoard drops what they
    /// say of later steps.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn resume(folder: &Path, step: u64) -> Result<Self, ReportError> {
        let mut writer = Self::create(folder)?;
        let mut session = Message::default();
        session.integer(1, SESSION_START);
        let mut event = Message::default();
        event.double(1, wall_time_now());
        event.integer(2, step.saturating_add(1));
        event.bytes(7, session.as_bytes());
        writer.write(&event)?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds numbers of one step. `wall_time` is in seconds since 1970; [`wall_time_now`] tells it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn scalars(&mut self, step: u64, wall_time: f64, values: &[(&str, f32)]) -> Result<(), ReportError> {
        self.write(&scalars_event(step, wall_time, values))
    }

    /// Hands what was written to the operating system, where TensorBoard sees it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<(), ReportError> {
        self.file.flush().map_err(ReportError::io(&self.path))
    }

    fn write(&mut self, event: &Message) -> Result<(), ReportError> {
        self.file.write_all(&frame(event.as_bytes())).map_err(ReportError::io(&self.path))
    }
}

/// Seconds since 1970.
#[must_use]
pub fn wall_time_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The latest second in a folder's event file names.
fn latest(folder: &Path) -> Result<Option<u64>, ReportError> {
    let mut latest = None;
    for entry in fs::read_dir(folder).map_err(ReportError::io(folder))? {
        let name = entry.map_err(ReportError::io(folder))?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        // Names sort as texts: only seconds of ten digits, until the year 2286, are times.
        let second = rest.and_then(|rest| rest.split('.').next()).filter(|digits| digits.len() == 10);
        latest = latest.max(second.and_then(|digits| digits.parse().ok()));
    }
    Ok(latest)
}

fn version_event(wall_time: f64) -> Message {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.bytes(3, b"brain.Event:2");
    event
}

fn scalars_event(step: u64, wall_time: f64, values: &[(&str, f32)]) -> Message {
    let mut summary = Message::default();
    for (tag, number) in values {
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        value.float(2, *number);
        summary.bytes(1, value.as_bytes());
    }
    let mut event = Message::default();
    event.double(1, wall_time);
    event.integer(2, step);
    event.bytes(5, summary.as_bytes());
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two records as Python's `tensorboard` 2.21.0 writes them (`RecordWriter`, `Event.SerializeToString`).
    const GOLDEN: &str = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c300000000000000095f5d05f\
                          0900001040fc54d94110ac022a220a150a0e747261696e2f6d6c6d5f6c6f7373150000403f0a090a026c7215acc52737f0293241";

    #[test]
    fn records_are_those_of_tensorboard_byte_for_byte() {
        let mut bytes = frame(version_event(1.5).as_bytes());
        let values = [("train/mlm_loss", 0.75), ("lr", 1e-5)];
        bytes.extend(frame(scalars_event(300, 1_700_000_000.25, &values).as_bytes()));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    #[test]
    fn names_come_after_those_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let later = seconds_now() + 100;
        fs::write(folder.path().join(format!("{PREFIX}{later}.host.1")), b"").unwrap();
        fs::write(folder.path().join(format!("{PREFIX}not a time")), b"").unwrap();
        let first = EventWriter::create(folder.path()).unwrap();
        let second = EventWriter::resume(folder.path(), 7).unwrap();
        let name = |writer: &EventWriter| writer.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name(&first).starts_with(&format!("{PREFIX}{}.", later + 1)), "{}", name(&first));
        assert!(name(&second) > name(&first));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"").unwrap();
        assert!(EventWriter::create(&path).unwrap_err().to_string().contains("file"));
    }
}
