//! Writing a data set: many images at once, and all of it or nothing.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder};

use crate::{
    config::PhantomConfig,
    error::PhantomError,
    layout::{Folder, Job, TRUTHS, jobs, vqa_record, write_json, write_manifest},
    questions::Question,
    truth::Truth,
};

/// JPEG quality of the images.
const QUALITY: u8 = 95;

/// What was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhantomReport {
    /// Captioned images, over all splits.
    pub captioned_images: usize,
    /// Their captions.
    pub captions: usize,
    /// Images with questions, over all splits.
    pub vqa_images: usize,
    /// Their questions.
    pub questions: usize,
    /// Images of either kind without a finding.
    pub normal_images: usize,
}

/// Generates the data set of `config` into `out`, which must not exist or be an empty folder; missing parents are
/// created. The files are the same for every number of processors. They appear all at once, or not at all.
///
/// # Errors
/// [`PhantomError::Config`] for a field out of range, [`PhantomError::NotEmpty`] or [`PhantomError::NotAFolder`] for an
/// unsuitable `out`, and [`PhantomError::Io`], [`PhantomError::Encode`] or [`PhantomError::Json`] where writing fails.
pub fn generate(config: &PhantomConfig, out: &Path) -> Result<PhantomReport, PhantomError> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    generate_on(config, out, threads)
}

fn generate_on(config: &PhantomConfig, out: &Path, threads: usize) -> Result<PhantomReport, PhantomError> {
    config.validate()?;
    let out = empty_target(out)?;
    let (Some(parent), Some(_)) = (out.parent(), out.file_name()) else {
        return Err(PhantomError::NotAFolder { path: out });
    };
    fs::create_dir_all(parent).map_err(PhantomError::io("create", parent))?;
    m3ae_files::write_folder(&out, |folder| write_all(config, folder.path(), threads))
}

/// The absolute path of `out`, which does not exist or is an empty folder.
fn empty_target(out: &Path) -> Result<PathBuf, PhantomError> {
    match fs::metadata(out) {
        Ok(data) if data.is_dir() => {
            let path = fs::canonicalize(out).map_err(PhantomError::io("open", out))?;
            match fs::read_dir(&path).map_err(PhantomError::io("read", &path))?.next() {
                None => Ok(path),
                Some(_) => Err(PhantomError::NotEmpty { path }),
            }
        }
        Ok(_) => Err(PhantomError::NotAFolder { path: out.to_path_buf() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Kept as written where it ends in `..`: it then has no name, and is refused.
            std::path::absolute(out).map_err(PhantomError::io("open", out))
        }
        Err(error) => Err(PhantomError::io("open", out)(error)),
    }
}

/// What the text files need to know of an image that has been written.
struct Done {
    truth: Truth,
    captions: Vec<String>,
    questions: Vec<Question>,
}

fn write_all(config: &PhantomConfig, root: &Path, threads: usize) -> Result<PhantomReport, PhantomError> {
    let jobs = jobs(config);
    for folder in Folder::ALL {
        let path = root.join(folder.images());
        fs::create_dir_all(&path).map_err(PhantomError::io("create", &path))?;
    }
    let done = run(&jobs, threads, |job| make(config, root, job))?;
    let report = write_texts(root, &jobs, &done)?;
    // Last: its presence says that the rest is there.
    write_manifest(config, root)?;
    Ok(report)
}

/// Runs `make` on every job, on several threads; results in the order of the jobs. After an error no new job starts.
fn run<T: Send>(
    jobs: &[Job],
    threads: usize,
    make: impl Fn(&Job) -> Result<T, PhantomError> + Sync,
) -> Result<Vec<T>, PhantomError> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut results = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            let result = make(job);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            results.push((index, result));
        }
        results
    };
    let mut results: Vec<(usize, Result<T, PhantomError>)> = thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for worker in workers {
            match worker.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Draws one image and writes it.
fn make(config: &PhantomConfig, root: &Path, job: &Job) -> Result<Done, PhantomError> {
    let truth = Truth::draw(config.seed, &job.id);
    let image = crate::render(&truth, config.side)?;
    let path = root.join(job.folder.images()).join(format!("{}.jpg", job.id));
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .write_image(image.as_raw(), image.width(), image.height(), ExtendedColorType::L8)
        .map_err(|source| PhantomError::Encode { path: path.clone(), source })?;
    fs::write(&path, bytes).map_err(PhantomError::io("write", &path))?;
    let (captions, questions) = if job.folder.is_vqa() {
        (Vec::new(), crate::questions(&truth))
    } else {
        (crate::captions(&truth, config.captions_per_image), Vec::new())
    };
    Ok(Done { truth, captions, questions })
}

/// Writes captions, questions and truths, and counts them.
fn write_texts(root: &Path, jobs: &[Job], done: &[Done]) -> Result<PhantomReport, PhantomError> {
    let mut report = PhantomReport { captioned_images: 0, captions: 0, vqa_images: 0, questions: 0, normal_images: 0 };
    for folder in Folder::ALL {
        let path = root.join(folder.texts());
        let images = || jobs.iter().zip(done).filter(|(job, _)| job.folder == folder).map(|(_, done)| done);
        if folder.is_vqa() {
            let first = report.questions;
            let records: Vec<_> = images()
                .flat_map(|done| done.questions.iter().map(|question| (&done.truth, question)))
                .enumerate()
                .map(|(i, (truth, question))| vqa_record(first + i + 1, truth, question))
                .collect();
            write_json(&path, &records)?;
            report.vqa_images += images().count();
            report.questions += records.len();
        } else {
            let lines: String = images()
                .flat_map(|done| done.captions.iter().map(|caption| format!("{}\t{caption}\n", done.truth.id)))
                .collect();
            fs::write(&path, lines).map_err(PhantomError::io("write", &path))?;
            report.captioned_images += images().count();
            report.captions += images().map(|done| done.captions.len()).sum::<usize>();
        }
    }
    report.normal_images = done.iter().filter(|done| done.truth.finding.is_none()).count();

    let path = root.join(TRUTHS);
    let mut lines = Vec::new();
    for done in done {
        serde_json::to_writer(&mut lines, &done.truth)
            .and_then(|()| lines.write_all(b"\n").map_err(serde_json::Error::io))
            .map_err(|source| PhantomError::Json { path: path.clone(), source })?;
    }
    fs::write(&path, lines).map_err(PhantomError::io("write", &path))?;
    Ok(report)
}

#[cfg(test)]
mod tests;
