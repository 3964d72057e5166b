//! `m3ae prepare <set…>`: converts published data sets to Arrow files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use m3ae_prepare::{
    Language, PrepareOptions, PrepareReport, REPORT_NAME, SetName, ValChoice, VocabularyScope, prepare, survey,
};

use crate::output::{say, say_error};

/// Convert published data sets to Arrow files for training and evaluation.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae prepare vqa-rad --raw ~/downloads/vqa-rad --out data/arrows")]
pub struct PrepareArgs {
    /// The data sets: roco, medicat, vqa-rad, slake, vqa-med-2019, melinda, irtr-roco, phantom; or all, which prepares
    /// every set whose folder exists
    #[arg(required = true)]
    sets: Vec<String>,
    /// Folder of the raw data set, if you prepare a single one [default: the reference's folder for it, below data/]
    #[arg(long, value_name = "FOLDER")]
    raw: Option<PathBuf>,
    /// Folder of the Arrow files
    #[arg(long, value_name = "FOLDER", default_value = "data/arrows")]
    out: PathBuf,
    /// The source of the validation split [default: given; split if the data set has no validation split]
    #[arg(long)]
    val: Option<Val>,
    /// The splits whose answers form the vocabulary: all, as in the published numbers, or train
    #[arg(long, default_value = "all")]
    vocabulary: Vocabulary,
    /// Seed of random splits; 42, the reference's seed, gives its splits of MedICaT and irtr-roco
    #[arg(long, default_value_t = PrepareOptions::default().seed)]
    seed: u64,
    /// SLAKE: the language of the questions; the published numbers are for English
    #[arg(long, default_value = "english")]
    language: QuestionLanguage,
    /// Number of threads that read images [default: one per CPU]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Share of a split's records that may be missing or broken, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    max_broken: f64,
    /// Also decode every image, to find broken ones
    #[arg(long)]
    decode: bool,
    /// Only count the annotations and the missing images; write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Val {
    /// A random tenth of train's images, drawn with --seed
    Split,
    /// A copy of test, as in the published numbers for VQA-RAD
    CopyTest,
    /// The data set's own validation split
    Given,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Vocabulary {
    Train,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum QuestionLanguage {
    English,
    Chinese,
    All,
}

/// Prepares one set after another, then prints the report. A failed set does not stop the next one.
pub fn run(args: &PrepareArgs) -> Result<()> {
    let mut options = PrepareOptions {
        val: args.val.map(|val| match val {
            Val::Split => ValChoice::Split,
            Val::CopyTest => ValChoice::CopyTest,
            Val::Given => ValChoice::Given,
        }),
        vocabulary: match args.vocabulary {
            Vocabulary::Train => VocabularyScope::Train,
            Vocabulary::All => VocabularyScope::All,
        },
        seed: args.seed,
        language: match args.language {
            QuestionLanguage::English => Language::English,
            QuestionLanguage::Chinese => Language::Chinese,
            QuestionLanguage::All => Language::All,
        },
        max_broken_share: args.max_broken,
        decode_images: args.decode,
        ..PrepareOptions::default()
    };
    options.workers = args.workers.unwrap_or(options.workers);
    let sets = sets(args)?;
    let names: Vec<SetName> = sets.iter().map(|(set, _)| *set).collect();
    let mut failures = Vec::new();
    for (set, raw) in sets {
        let context = || format!("preparing {set} from {}", raw.display());
        let done = match args.dry_run {
            true => survey(set, &raw, &options)
                .map(|report| say!("{report}(dry run: {set} was counted, nothing was written)\n"))
                .with_context(context),
            false => prepare_one(set, &raw, &args.out, &options).with_context(context),
        };
        failures.extend(done.err());
    }
    if !args.dry_run && failures.len() < names.len() {
        say!("\n{}", PrepareReport::load(&args.out)?.of(&names));
        say!("{}", args.out.join(REPORT_NAME).display());
    }
    let Some(last) = failures.pop() else { return Ok(()) };
    for failure in failures {
        say_error!("error: {}", crate::output::chain(&failure));
    }
    Err(last)
}

/// Prepares a set behind a progress bar.
fn prepare_one(set: SetName, raw: &Path, out: &Path, options: &PrepareOptions) -> Result<()> {
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {per_sec} {eta}")?);
    let mut lines = Vec::new();
    prepare(set, raw, out, options, &mut |progress| {
        bar.set_message(progress.file.to_owned());
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        if progress.done == progress.total {
            lines.push(format!("{} {}", progress.file, if progress.kept { "kept" } else { "written" }));
        }
    })?;
    bar.finish_and_clear();
    say!("{set}: {}", lines.join(", "));
    Ok(())
}

/// The requested sets and their folders.
fn sets(args: &PrepareArgs) -> Result<Vec<(SetName, PathBuf)>> {
    let mut chosen = Vec::new();
    for name in &args.sets {
        if name == "all" {
            chosen.extend(SetName::ALL.into_iter().filter(|set| set.default_raw().is_dir()));
            continue;
        }
        let names = || SetName::ALL.map(SetName::name).join(", ");
        let set = SetName::from_name(name)
            .with_context(|| format!("no data set {name:?}: choose one of {}, all", names()))?;
        chosen.push(set);
    }
    // A set can be named twice, or named beside `all`.
    let mut seen = BTreeSet::new();
    chosen.retain(|set| seen.insert(*set));
    match (&args.raw, chosen.as_slice()) {
        (_, []) => {
            let folders = SetName::ALL.map(|set| set.default_raw().display().to_string()).join(", ");
            bail!("no data set is in its default folder ({folders}): name one and pass its folder with --raw")
        }
        (Some(raw), [set]) => Ok(vec![(*set, raw.clone())]),
        (Some(_), _) => bail!("--raw is the folder of a single data set: name only that one"),
        (None, _) => Ok(chosen.into_iter().map(|set| (set, Path::to_owned(set.default_raw()))).collect()),
    }
}
