//! Reading images and writing files.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::Path,
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::UNIX_EPOCH,
};

use m3ae_data::arrow::{ArrowFile, ArrowWriter, LABELS_KEY, QUESTION_TYPES_KEY, Row, VOCABULARY_KEY, sha256};
use m3ae_files::{FilesError, Lock, clear_leftovers, hex};
use sha2::{Digest, Sha256};

use crate::phantom;
use crate::{
    Dropped, FileReport, Plan, PrepareError, PrepareOptions, PrepareReport, SetName, SharedImages, SplitPlan,
    error::check_broken,
    hub,
    images::{self, ContentHash, Image, content_hash},
    plan, report,
};

/// Images that a reader thread may be ahead of the writer.
const AHEAD: usize = 4;
/// How many shared images are named.
const EXAMPLES: usize = 5;

/// How far a preparation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file being made.
    pub file: &'a str,
    /// Images done.
    pub done: usize,
    /// Images in all.
    pub total: usize,
    /// Whether the file was there already, made from the same inputs.
    pub kept: bool,
}

/// A file, and the images in it by content.
type Made = (FileReport, HashMap<ContentHash, String>);

/// Prepares a set: writes its files into `out`, and the report. Files that are there, made from the same inputs, are
/// kept. The synthetic set is made first where `raw` is not there.
///
/// # Errors
/// When the annotations are at fault (see [`plan`]), more images are missing or broken than the options allow, or
/// writing fails. Files that were finished before stay, and are not made again.
pub fn prepare(
    set: SetName,
    raw: &Path,
    out: &Path,
    options: &PrepareOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<FileReport>, PrepareError> {
    if set == SetName::Phantom && !raw.join("phantom.json").is_file() {
        // Needs no download: what is not there is made. Its configuration is written last, so that half a set is none.
        phantom::ensure(raw, &m3ae_phantom::PhantomConfig::default())?;
    }
    let hub = hub::files(set, raw)?;
    // What comes in Parquet files is unpacked into the output, which takes its lock.
    let lock = hub.is_some().then(|| lock(out, options.wait)).transpose()?;
    let unpacked = hub.map(|files| hub::unpack(set, &files, out)).transpose()?;
    let raw = unpacked.as_ref().map_or(raw, |unpacked| &unpacked.0);
    let plans = plan(set, raw, options)?;
    plans.iter().try_for_each(|plan| images::check(plan, options))?;
    let _lock = lock.map_or_else(|| self::lock(out, options.wait), Ok)?;
    let mut report = PrepareReport::load(out)?;
    report.shared_images.retain(|shared| shared.set != set.name());
    let mut files = Vec::new();
    for plan in &plans {
        let mut contents: Vec<(&str, HashMap<ContentHash, String>)> = Vec::new();
        for split in &plan.splits {
            let (file, images) = match keep(split, plan, &report, out)? {
                Some(kept) => {
                    progress(Progress {
                        file: &split.file_name,
                        done: split.rows.len(),
                        total: split.rows.len(),
                        kept: true,
                    });
                    kept
                }
                None => {
                    let made = write(split, plan, out, options, progress)?;
                    report.files.insert(split.file_name.clone(), made.0.clone());
                    // At once: what is finished stays finished, whatever happens to the rest.
                    report.save(out)?;
                    made
                }
            };
            files.push(file);
            contents.push((&split.file_name, images));
        }
        report.shared_images.extend(shared(set, &contents));
    }
    report.save(out)?;
    Ok(files)
}

/// Makes the folder, and keeps other preparations out of it: waits for the one that is there, if that is wanted. What
/// killed ones left is removed.
fn lock(out: &Path, wait: bool) -> Result<Lock, PrepareError> {
    fs::create_dir_all(out).map_err(PrepareError::write(out))?;
    let path = out.join(".prepare.lock");
    let lock = match Lock::acquire(&path) {
        Err(FilesError::Locked { .. }) if wait => {
            tracing::info!("waiting for another preparation, which is writing into {}", out.display());
            Lock::wait(&path)?
        }
        Err(FilesError::Locked { .. }) => return Err(PrepareError::Busy { path: out.to_owned() }),
        taken => taken?,
    };
    clear_leftovers(out)?;
    Ok(lock)
}

/// What [`prepare`] would write, counted from the annotations: images need not be there, and nothing is written.
/// Missing images are among what is dropped; lengths and hashes are empty.
///
/// # Errors
/// As [`plan`].
pub fn survey(set: SetName, raw: &Path, options: &PrepareOptions) -> Result<PrepareReport, PrepareError> {
    if set == SetName::Phantom && !raw.exists() {
        let problem = format!("there is none in {} yet: preparing it makes it", raw.display());
        return Err(PrepareError::Option { set, problem });
    }
    if hub::files(set, raw)?.is_some() {
        let problem = "Parquet files cannot be counted without unpacking them: prepare the set instead".to_owned();
        return Err(PrepareError::Option { set, problem });
    }
    let mut report = PrepareReport::default();
    for plan in plan(set, raw, options)? {
        for split in &plan.splits {
            let dropped: Vec<Dropped> = split.dropped.iter().cloned().chain(images::missing(split)).collect();
            let rows = split.rows.iter().map(|row| &row.data);
            let described = report::describe(&plan, split, rows, &dropped);
            report.files.insert(split.file_name.clone(), described);
        }
    }
    Ok(report)
}

/// The file of an earlier preparation, where it was made from the same inputs and is still what it was.
fn keep(split: &SplitPlan, plan: &Plan, report: &PrepareReport, out: &Path) -> Result<Option<Made>, PrepareError> {
    let path = out.join(&split.file_name);
    let Some(found) = report.files.get(&split.file_name).filter(|_| path.is_file()) else { return Ok(None) };
    if found.inputs != inputs(split, plan) || sha256(&path)? != found.sha256 {
        return Ok(None);
    }
    let file = ArrowFile::open(&path)?;
    let mut images = HashMap::with_capacity(file.len());
    for row in 0..file.len() {
        images.insert(content_hash(file.image(row)?), file.image_id(row)?.to_owned());
    }
    Ok(Some((found.clone(), images)))
}

/// A hash of all that a file is made from; of images, their names, lengths and times, so that asking costs no reading.
fn inputs(split: &SplitPlan, plan: &Plan) -> String {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    };
    add(concat!("m3ae-data ", env!("CARGO_PKG_VERSION"), " prepare 2"));
    for (key, value) in metadata(split, plan) {
        add(&key);
        add(&value);
    }
    add(&split.split);
    for row in &split.rows {
        add(&row.image_id);
        add(&serde_json::json!(row.data).to_string());
        let file = fs::metadata(&row.image).map_or(None, |file| {
            let modified = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            Some((file.len(), modified.map(|time| time.as_nanos())))
        });
        add(&format!("{file:?}"));
    }
    hex(&digest.finalize())
}

/// What stands in the file's schema.
fn metadata(split: &SplitPlan, plan: &Plan) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    if let Some(vocabulary) = &plan.vocabulary {
        metadata.insert(VOCABULARY_KEY.to_owned(), vocabulary.to_json());
    }
    if !plan.label_names.is_empty() {
        metadata.insert(LABELS_KEY.to_owned(), serde_json::json!(plan.label_names).to_string());
    }
    if !split.question_types.is_empty() {
        metadata.insert(QUESTION_TYPES_KEY.to_owned(), serde_json::json!(split.question_types).to_string());
    }
    metadata
}

/// Reads a split's images and writes its file.
fn write(
    split: &SplitPlan,
    plan: &Plan,
    out: &Path,
    options: &PrepareOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Made, PrepareError> {
    let inputs = inputs(split, plan);
    let mut writer =
        ArrowWriter::create(&out.join(&split.file_name), split.kind, &split.split, &metadata(split, plan))?;
    let mut dropped = split.dropped.clone();
    let (mut written, mut images, mut duplicates) = (Vec::new(), HashMap::new(), 0);
    let records = split.rows.len() + split.dropped.len();
    thread::scope(|scope| {
        let readers: Vec<Receiver<Image>> = {
            let count = options.workers.clamp(1, 64);
            let start = |first| {
                let (sender, receiver) = sync_channel(AHEAD);
                let rows = split.rows.iter().skip(first).step_by(count);
                scope.spawn(move || {
                    for row in rows {
                        // The writer stops listening where it gives up.
                        if sender.send(images::read(row, options.decode_images)).is_err() {
                            break;
                        }
                    }
                });
                receiver
            };
            (0..count).map(start).collect()
        };
        for (number, row) in split.rows.iter().enumerate() {
            let image = readers[number % readers.len()].recv();
            match image.unwrap_or_else(|_| Err("a reader thread failed".to_owned())) {
                Ok((bytes, hash)) => {
                    writer.push(&Row { image_id: row.image_id.clone(), data: row.data.clone() }, &bytes)?;
                    duplicates += usize::from(images.insert(hash, row.image_id.clone()).is_some());
                    written.push(&row.data);
                }
                Err(reason) => {
                    dropped.push(Dropped { place: row.image.display().to_string(), reason, broken: true });
                    check_broken(plan.set, &split.split, &dropped, records, options)?;
                }
            }
            progress(Progress { file: &split.file_name, done: number + 1, total: split.rows.len(), kept: false });
        }
        Ok::<_, PrepareError>(())
    })?;
    if written.is_empty() {
        let first = dropped.first().map(ToString::to_string);
        return Err(PrepareError::Empty { set: plan.set, split: split.split.clone(), dropped: dropped.len(), first });
    }
    let file = writer.finish()?;
    let mut described = report::describe(plan, split, written.iter().copied(), &dropped);
    (described.bytes, described.sha256, described.inputs) = (file.bytes, file.sha256, inputs);
    described.duplicate_images = duplicates;
    Ok((described, images))
}

/// Which images two files have both.
fn shared(set: SetName, contents: &[(&str, HashMap<ContentHash, String>)]) -> Vec<SharedImages> {
    let mut found = Vec::new();
    for (i, (first, a)) in contents.iter().enumerate() {
        for (second, b) in &contents[i + 1..] {
            let both: HashSet<&ContentHash> = a.keys().filter(|hash| b.contains_key(*hash)).collect();
            let mut names: Vec<String> = both.iter().filter_map(|hash| a.get(*hash)).cloned().collect();
            if names.is_empty() {
                continue;
            }
            names.sort_unstable();
            let images = names.len();
            names.truncate(EXAMPLES);
            let files = [(*first).to_owned(), (*second).to_owned()];
            found.push(SharedImages { set: set.name().to_owned(), files, images, examples: names });
        }
    }
    found
}
