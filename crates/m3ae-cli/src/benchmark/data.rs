//! Which data sets are available, and where to get the others.

use std::path::Path;

use m3ae_benchmark::{Benchmark, Split, prepared_path};

/// Whether a data set is available.
pub enum Found {
    /// Prepared, or raw in its default folder; the synthetic set can always be generated.
    Here,
    /// The places that were searched, and where to get it.
    Missing(String),
}

/// Looks for a benchmark's files.
pub fn look(benchmark: Benchmark, prepared: &Path) -> Found {
    let (set, splits) = (benchmark.set(), [Split::Train, Split::Val, Split::Test]);
    let absent = splits.map(|split| prepared_path(prepared, set, split)).into_iter().find(|path| !path.is_file());
    match absent {
        Some(path) if benchmark != Benchmark::PhantomVqa && !set.default_raw().is_dir() => Found::Missing(format!(
            "found neither {} nor the raw data in {}; {}. Put it there, or run `cargo xtask prepare {set} --raw <folder>` \
             (datasets/README.md)",
            path.display(),
            set.default_raw().display(),
            source(benchmark)
        )),
        _ => Found::Here,
    }
}

/// Where to get the data set.
fn source(benchmark: Benchmark) -> &'static str {
    match benchmark {
        Benchmark::VqaRad => "it is at osf.io/89kps, for anyone (CC0)",
        Benchmark::Slake => "it is at med-vqa.com/slake",
        Benchmark::VqaMed2019 => "it is at github.com/abachaa/VQA-Med-2019 (CC BY 4.0)",
        Benchmark::Melinda => "it is at github.com/PlusLabNLP/melinda",
        Benchmark::Roco => "its lists and a script that fetches the images are at github.com/razorx89/roco-dataset",
        Benchmark::PhantomVqa => "`cargo xtask prepare phantom` makes it",
    }
}
