//! `m3ae-lab bench data`: images per second from files to what the vision encoder sees, beside Pillow's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use m3ae_cli::backend::Backend;
use m3ae_cli::files;
use m3ae_cli::output::say;
use m3ae_data::{CaptionSample, Loader, LoaderConfig};
use m3ae_image::{ClipTransform, DecodeOptions, decode};
use m3ae_phantom::{PhantomConfig, generate};
use m3ae_text::Tokenizer;
use serde::{Deserialize, Serialize};

use super::turns::{Side, TurnArgs, Work, alternate, median, turn_of, write_json};

/// The peer: Pillow, with torchvision's transforms where they are there.
const PEER: &str = include_str!("peers/transform.py");
/// Image sides of pre-training and of fine-tuning.
const SIDES: [usize; 2] = [288, 384];
/// Of so many values one goes into an image's mean, which then costs next to nothing. The peer does the same.
const EVERY: usize = 64;
/// Bytes of a picture may differ from another decoder's by a step or two; a picture's mean, in deviations, by less than
/// this.
const TOLERANCE: f32 = 0.01;

/// Images per second on one core: decoded and transformed as for the vision encoder, in turns with Pillow's where
/// `--peer` names a Python that has it; and the loader's, with one thread and with all.
///
/// On Linux the thread's own time on its core counts, for both, so that other load spoils little. The loader is timed
/// by the clock.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    /// A folder with images (png, jpg), in folders or not; by default the synthetic set's, made for this
    #[arg(long, value_name = "FOLDER")]
    raw: Option<PathBuf>,
    /// Eight little images instead of a hundred of 768 pixels
    #[arg(long, conflicts_with = "raw")]
    small: bool,
    /// A Python that has Pillow and numpy, to take turns with
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    #[command(flatten)]
    turns: TurnArgs,
}

/// What one turn measured: every image once.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pass {
    libraries: String,
    seconds: f64,
    /// Each image's mean, to see that both do the same.
    #[serde(skip_serializing)]
    means: Vec<f32>,
}

/// The measurements at one image side.
#[derive(Debug, Serialize)]
struct AtSide {
    side: usize,
    sides: Vec<Side<Pass>>,
    /// By threads.
    loader_images_per_second: Vec<(usize, f64)>,
}

#[derive(Debug, Serialize)]
struct Measured {
    images: usize,
    megabytes: f64,
    at: Vec<AtSide>,
}

/// Measures and prints the table.
pub fn run(args: &DataArgs, backend: Backend) -> Result<ExitCode> {
    let made = tempfile::tempdir()?;
    let folder = match &args.raw {
        Some(folder) => folder.clone(),
        None => synthetic(&made.path().join("set"), args.small)?,
    };
    let paths = files::images(&folder)?;
    // Once for the file cache.
    let bytes = paths.iter().map(|path| Ok(fs::read(path).with_context(|| path.display().to_string())?.len()));
    let megabytes = bytes.sum::<Result<usize>>()? as f64 / 1e6;
    let list = made.path().join("list");
    let lines: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    fs::write(&list, lines.join("\n")).with_context(|| list.display().to_string())?;
    let at = SIDES.map(|side| measure(args, side, &paths, &list)).into_iter().collect::<Result<Vec<_>>>()?;
    let measured = Measured { images: paths.len(), megabytes, at };
    say!("{}", table(&measured).trim_end());
    if args.peer.is_none() {
        say!("\nBeside Pillow: --peer <python with Pillow and numpy, and torchvision if it shall be used>");
    }
    write_json(args.turns.json.as_deref(), &backend.device()?, &measured)?;
    Ok(ExitCode::SUCCESS)
}

fn synthetic(folder: &Path, small: bool) -> Result<PathBuf> {
    let (side, train) = if small { (64, 3) } else { (768, 95) };
    let one = PhantomConfig { val: 1, test: 1, vqa_train: 1, vqa_val: 1, vqa_test: 1, ..PhantomConfig::default() };
    generate(&PhantomConfig { side, train, ..one }, folder)?;
    Ok(folder.to_owned())
}

fn measure(args: &DataArgs, side: usize, paths: &[PathBuf], list: &Path) -> Result<AtSide> {
    let mut sides: Vec<(&str, Work<'_, Pass>)> = vec![("ours", Box::new(|| ours(side, paths)))];
    if let Some(python) = &args.peer {
        let turn = move || turn_of(Command::new(python).args(["-c", PEER, &side.to_string()]).arg(list));
        sides.push(("Pillow", Box::new(turn)));
    }
    let sides = alternate(args.turns.rounds, sides)?;
    if let [ours, theirs] = sides.as_slice() {
        compare(ours, theirs, paths)?;
    }
    let threads = std::thread::available_parallelism()?.get();
    let mut loader_images_per_second = vec![(1, load(side, 1, paths)?)];
    if threads > 1 {
        loader_images_per_second.push((threads, load(side, threads, paths)?));
    }
    Ok(AtSide { side, sides, loader_images_per_second })
}

/// This thread's time on a core, where the system tells (Linux).
fn core_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// Every image through decoder and transform, on this thread.
fn ours(side: usize, paths: &[PathBuf]) -> Result<Pass> {
    let (clip, options) = (ClipTransform::new(side)?, DecodeOptions::default());
    let (clock, core) = (Instant::now(), core_time());
    let mean = |path: &PathBuf| {
        let values = clip.apply(&decode(path, &options).with_context(|| path.display().to_string())?);
        let some: Vec<f32> = values.into_iter().step_by(EVERY).collect();
        Ok(some.iter().sum::<f32>() / some.len() as f32)
    };
    let means = paths.iter().map(mean).collect::<Result<Vec<f32>>>()?;
    let seconds = core.zip(core_time()).map_or_else(|| clock.elapsed(), |(before, after)| after - before);
    Ok(Pass { libraries: "crate m3ae-data".into(), seconds: seconds.as_secs_f64(), means })
}

/// Both have to see the same images.
fn compare(ours: &Side<Pass>, theirs: &Side<Pass>, paths: &[PathBuf]) -> Result<()> {
    let means = |side: &Side<Pass>| side.turns.last().map(|turn| turn.means.clone()).unwrap_or_default();
    let (ours, theirs) = (means(ours), means(theirs));
    ensure!(theirs.len() == ours.len(), "the peer read {} images, not {}", theirs.len(), ours.len());
    for ((ours, theirs), path) in ours.iter().zip(&theirs).zip(paths) {
        let difference = (ours - theirs).abs();
        ensure!(difference < TOLERANCE, "{}: its mean is {ours}, the peer's {theirs}", path.display());
    }
    Ok(())
}

/// The loader's images per second.
fn load(side: usize, workers: usize, paths: &[PathBuf]) -> Result<f64> {
    let tokenizer = Tokenizer::train(["image"], 261)?;
    let sample = |(number, image): (usize, &PathBuf)| CaptionSample {
        id: number.to_string(),
        image: image.clone(),
        caption: "image".into(),
    };
    let samples: Vec<CaptionSample> = paths.iter().enumerate().map(sample).collect();
    let config =
        LoaderConfig { side, workers, cache_mib: 0, false_images: false, drop_last: false, ..LoaderConfig::default() };
    let loader = Loader::new(&samples, &tokenizer, &config)?;
    let (clock, mut loaded) = (Instant::now(), 0);
    for batch in loader.epoch(0, 0) {
        loaded += batch?.len();
    }
    Ok(loaded as f64 / clock.elapsed().as_secs_f64())
}

fn table(measured: &Measured) -> String {
    let Measured { images, megabytes, at } = measured;
    let mut text = format!("{images} images, {megabytes:.1} MB\n\n| | by | images/s |\n|---|---|---|\n");
    let rate = |side: &Side<Pass>| *images as f64 / median(side.turns.iter().map(|turn| turn.seconds).collect());
    for AtSide { side, sides, loader_images_per_second } in at {
        for part in sides {
            let libraries = part.turns.first().map_or("", |turn| turn.libraries.as_str());
            let _ = writeln!(text, "| decode and transform, S={side}, one core | {libraries} | {:.1} |", rate(part));
        }
        if let [ours, theirs] = sides.as_slice() {
            let _ = writeln!(text, "| ratio | | {:.2} |", rate(ours) / rate(theirs));
        }
        for (threads, rate) in loader_images_per_second {
            let _ = writeln!(text, "| loader, S={side}, by the clock | {threads} threads | {rate:.1} |");
        }
    }
    text
}
