//! Which sets are here, and where to get the others.

use std::path::Path;

use m3ae_benchmark::{Benchmark, Split, prepared_path};

/// Whether a set is here.
pub enum Found {
    /// Prepared, or raw in its usual place; the synthetic set can always be made.
    Here,
    /// What was looked for, and where to get it.
    Missing(String),
}

/// Looks for a benchmark's files.
pub fn look(benchmark: Benchmark, prepared: &Path) -> Found {
    let (set, splits) = (benchmark.set(), [Split::Train, Split::Val, Split::Test]);
    let absent = splits.map(|split| prepared_path(prepared, set, split)).into_iter().find(|path| !path.is_file());
    match absent {
        Some(path) if benchmark != Benchmark::PhantomVqa && !set.default_raw().is_dir() => Found::Missing(format!(
            "neither {} nor the raw set in {} is here; {}. Put it there, or `cargo xtask prepare {set} --raw <folder>` (datasets/README.md)",
            path.display(),
            set.default_raw().display(),
            source(benchmark)
        )),
        _ => Found::Here,
    }
}

/// Who gives the set away.
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
